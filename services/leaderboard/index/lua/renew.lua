-- ARGV: epoch, expiry. Keeps an index that is still read. Gives 1 if there is one.

if not complete then
  return 0
end
expire(ARGV[2])
return 1
