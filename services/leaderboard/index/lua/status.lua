-- ARGV: cause, or ''. Gives 1 when the index is complete, and was built for that cause.

return complete and (ARGV[1] == '' or kept[6] == ARGV[1]) and 1 or 0
