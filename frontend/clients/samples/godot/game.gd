extends VBoxContainer
## Dice: throw as often as you dare. Each throw adds to the score, and a one ends the game with nothing.
##
## "godot --headless --path . -- --games 5" plays five games by itself and says what becomes of each score.

var leaderboard := Leaderboard.new()
var score := 0


func _ready() -> void:
	leaderboard.url = setting("LEADERBOARD_URL", "http://localhost:8080")
	leaderboard.storage = Leaderboard.FileStorage.new(setting("LEADERBOARD_STATE", "user://leaderboard"))
	leaderboard.submitted.connect(func(entry, _result): print("counted ", entry.key))
	leaderboard.refused.connect(func(entry, problem): print("refused ", entry.key, " ", problem))
	leaderboard.queue_changed.connect(func(length, reason): $Stop.text = "Stop (%d %s)" % [length, reason])
	add_child(leaderboard)
	$Throw.pressed.connect(throw)
	$Stop.pressed.connect(stop)
	await sign_in()
	var arguments := OS.get_cmdline_user_args()
	var place := arguments.find("--games")
	if place >= 0:
		await play_alone(int(arguments[place + 1]))
		get_tree().quit()
	else:
		leaderboard.watch({"limit": 5}).top_changed.connect(show_board)


func setting(name: String, otherwise: String) -> String:
	return OS.get_environment(name) if OS.has_environment(name) else otherwise


## Goes on as who is known, or begins as a guest, however long it takes.
func sign_in() -> void:
	while not leaderboard.user:
		var answer := await leaderboard.play_as_guest()
		if not answer.ok:
			$Told.text = "No leaderboard yet: %s" % answer.problem
			await get_tree().create_timer(1).timeout
	$Told.text = "You are %s." % leaderboard.user.username


func submit(points: int) -> void:
	var submission := leaderboard.submit(points)
	while submission.problem != null:  # the queue is full, or the disk
		await get_tree().create_timer(0.1).timeout
		submission = leaderboard.submit(points)
	print("queued ", submission.key, " ", points)


func throw() -> void:
	var thrown := randi_range(1, 6)
	score = 0 if thrown == 1 else score + thrown
	$Told.text = "You threw a %d, and have %d points." % [thrown, score]


func stop() -> void:
	submit(score)
	score = 0


func play_alone(games: int) -> void:
	for game in games:
		await submit(randi_range(1, 1000))
	await leaderboard.flush()


func show_board(page: Dictionary) -> void:
	var lines := PackedStringArray()
	for row: Dictionary in page.top:
		lines.append("%d. %s  %d" % [row.rank, row.username, row.score])
	$Board.text = "\n".join(lines)
