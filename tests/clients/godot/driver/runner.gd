extends Node
## What each script of a test is: it has the clients of this test, what they told, and what the scripts before it have kept.


func kept() -> Dictionary:
	if not get_parent().has_meta("kept"):
		get_parent().set_meta("kept", {})
	return get_parent().get_meta("kept")


func heard() -> Array:
	if not kept().has("heard"):
		kept().heard = []
	return kept().heard


func begin(options := {}) -> Leaderboard:
	var game := Leaderboard.new()
	game.url = kept().url
	game.storage = Leaderboard.MemoryStorage.new()
	for name: String in options:
		game.set(name, options[name])
	game.session_ended.connect(func(): heard().append(["session_ended"]))
	game.submitted.connect(func(entry, result): heard().append(["submitted", entry.key, result.repeated]))
	game.refused.connect(func(entry, problem): heard().append(["refused", entry.key, problem.type, problem.status]))
	game.queue_changed.connect(func(length, reason): heard().append(["queue", length, reason]))
	get_parent().add_child(game)
	return game


## Waits, but not for ever: what is not so after 20 seconds, the test finds out.
func until(condition: Callable) -> void:
	var latest := Time.get_ticks_msec() + 20000
	while not condition.call() and Time.get_ticks_msec() < latest:
		await get_tree().process_frame
