class_name Leaderboard
extends Node
## The leaderboard in one file: signing in, scores that are counted exactly once, rankings, live standings. Version 1.0.0.
##
## It needs Godot 4.2 or newer. Put this file into your project, and begin:
## [codeblock]
## var leaderboard := Leaderboard.new()
##
## func _ready():
##     add_child(leaderboard)
##     if not leaderboard.user:
##         await leaderboard.play_as_guest()
##     leaderboard.submit(1200)
## [/codeblock]
## docs/godot.md explains all of it, step by step.

## Who is signed in has changed. The user is empty when nobody is.
signal session_changed(user: Dictionary)
## The session is over: the player has to sign in again. What is queued stays queued.
signal session_ended
## So many scores wait. The reason is "empty", "waiting" (to be sent, or for their player) or "offline".
signal queue_changed(length: int, reason: String)
## A score is stored on the server. This tells of scores that were queued in an earlier run of the game, too.
signal submitted(entry: Dictionary, result: Dictionary)
## A score is refused for good, and waits no longer.
signal refused(entry: Dictionary, problem: Problem)
# Sent with each frame. What waits here waits for it, so nothing goes on once this node is gone.
signal _frame

const VERSION := "1.0.0"

## There was no answer, or the leaderboard could not give one now. What was asked for may have been done all the same.
const UNREACHABLE := "unreachable"
## Nobody is signed in, or the session is over.
const SESSION_ENDED := "session-ended"
## As many scores wait as may. This one was not taken.
const QUEUE_FULL := "queue-full"
## The device could not store the score: its disk is full, perhaps. This one was not taken.
const NOT_STORED := "not-stored"

const _API := "/api/leaderboard"
# Seconds before its end at which an access token is renewed.
const _AHEAD := 60.0
# Seconds between two tries: the first pause is up to a second, each one twice as long as the one before, up to a minute.
const _FIRST_PAUSE := 1.0
const _LONGEST_PAUSE := 60.0
# Refusals that pass: the same request again may be answered. 401 does once the player has signed in again.
const _PASSING: Array[int] = [401, 408, 425, 429]

## Where the leaderboard is.
@export var url := "http://localhost:8080"
## The board that is meant wherever no other is named.
@export var board_name := "main"
## How many scores may wait.
@export var queue_limit := 100
## Seconds that a call may take.
@export var timeout := 10.0
## Seconds between two looks at a board that is watched without a stream.
@export var poll_seconds := 5.0
## A stream says something every 15 seconds. After so many without a word it is opened again.
@export var silence := 40.0
## What keeps the session and the queue. Set it before [method Node.add_child], or leave it: files in "user://leaderboard",
## and the browser's local storage in a web export.
var storage: RefCounted
## Who is signed in, by what is kept, so also without a network: {user_id, username, guest}, or empty.
var user: Dictionary:
	get:
		if _session.is_empty():
			return {}
		return {"user_id": _session.user_id, "username": _session.username, "guest": _session.guest}
## How many scores wait to be acknowledged.
var queued: int:
	get:
		return _entries.size()

# Neither is ever changed in place: another one is stored, and then takes its place.
var _session := {}
var _entries: Array = []
var _submissions := {}  # those of this run that wait, by key
var _told := [0, "empty"]
var _offline := false
var _ahead := _AHEAD
var _renewing := false  # one renewal of the tokens at a time
var _hurry := false  # somebody has signed in, so there is no reason to wait any longer


## What a call has come to: its [member data] if it is [member ok], else its [member problem].
class Answer:
	var ok := false
	## What the leaderboard's API answers.
	var data: Variant = {}
	var problem: Problem
	var headers := {}


## What went wrong.
class Problem:
	## Of which kind it is, for programs: "urn:problem:username-taken", or one of the constants above.
	var type := "about:blank"
	## The HTTP status, or 0 where there was no answer.
	var status := 0
	var title := ""
	## What happened this time, for people.
	var detail := ""
	## What is wrong with the request, each with its place in it.
	var errors: Array = []
	## Seconds after which it may be tried again, if that was told.
	var retry_after := 0.0

	func _to_string() -> String:
		return detail if detail else "%s (HTTP status %d)" % [type, status]


## A score that is queued. "await submission.result()" waits until it is stored or refused.
class Submission:
	signal _settled

	var key := ""
	## Why it could not be queued, or null.
	var problem: Problem
	var _answer: Answer

	func result() -> Answer:
		if _answer == null:
			await _settled
		return _answer

	func _settle(answer: Answer) -> void:
		_answer = answer
		_settled.emit()


## A board that is watched, until [method close].
class Watch:
	## The page of the board, at once and whenever it changes.
	signal top_changed(page: Dictionary)
	## How the player stands.
	signal me_changed(standing: Dictionary)
	## Another period has begun.
	signal period_changed(change: Dictionary)
	## It has ended: by the problem, or, when that is null, because nothing more is to come.
	signal ended(problem: Problem)

	var closed := false
	var _options := {}
	var _heard := {}
	var _last_id := ""
	var _retry := 2.0
	var _failures := 0
	var _rest := PackedByteArray()
	var _event := ""
	var _data := ""

	func close() -> void:
		closed = true

	# Takes in what a stream has sent. A piece may end anywhere, in the midst of a letter too.
	func _hear(chunk: PackedByteArray) -> void:
		_failures = 0
		_rest.append_array(chunk)
		var whole := _rest.rfind(10) + 1
		var lines := _rest.slice(0, whole).get_string_from_utf8().split("\n")
		_rest = _rest.slice(whole)
		for place in lines.size() - 1:
			var line := lines[place].trim_suffix("\r")
			var value := line.substr(line.find(":") + 1).trim_prefix(" ")
			match line.get_slice(":", 0):
				"event":
					_event = value
				"data":
					_data += value
				"id":
					_last_id = value
				"retry":
					_retry = float(value) / 1000
			if not line and _data:
				_tell(_event, Leaderboard._parse(_data))
			if not line:
				_event = ""
				_data = ""

	# Tells only what is new.
	func _tell(event: String, what: Variant) -> void:
		if closed or not what is Dictionary or _heard.get(event) == what:
			return
		_heard[event] = what
		match event:
			"top":
				top_changed.emit(what)
			"me":
				me_changed.emit(what)
			"period":
				period_changed.emit(what)


## Keeps it until the game ends.
class MemoryStorage:
	var _texts := {}

	func read(name: String) -> String:
		return _texts.get(name, "")

	func write(name: String, text: String) -> bool:
		_texts[name] = text
		return true


## Keeps it in files of a folder, which one running game has for itself. A crash of the game leaves the old text or the new one.
class FileStorage:
	var _folder: String

	func _init(folder := "user://leaderboard") -> void:
		_folder = folder

	func read(name: String) -> String:
		var path := _folder.path_join(name)
		if FileAccess.file_exists(path):
			return FileAccess.get_file_as_string(path)
		# On Windows the old file is removed before the new one has its name. In between, the new one is whole.
		var text := FileAccess.get_file_as_string(path + ".new") if FileAccess.file_exists(path + ".new") else ""
		return text if text and Leaderboard._parse(text) != null else ""

	func write(name: String, text: String) -> bool:
		var path := _folder.path_join(name)
		DirAccess.make_dir_recursive_absolute(_folder)
		if not text:
			for old: String in [path + ".new", path]:
				if FileAccess.file_exists(old) and DirAccess.remove_absolute(old) != OK:
					return false
			return true
		var file := FileAccess.open(path + ".new", FileAccess.WRITE)
		if file == null:
			return false
		# Whoever has the session is the player, so nobody else on the machine may read it. Windows has no such permissions.
		FileAccess.set_unix_permissions(path + ".new", FileAccess.UNIX_READ_OWNER | FileAccess.UNIX_WRITE_OWNER)
		file.store_string(text)
		file.flush()
		var whole := file.get_error() == OK
		file.close()
		return whole and DirAccess.rename_absolute(path + ".new", path) == OK


## Keeps it in the browser's local storage, for web exports.
class BrowserStorage:
	func read(name: String) -> String:
		var text: Variant = JavaScriptBridge.eval("localStorage.getItem(%s)" % JSON.stringify("leaderboard." + name))
		return text if text is String else ""

	func write(name: String, text: String) -> bool:
		var saving := "try { localStorage.setItem(%s, %s); true } catch { false }"
		# JavaScript's true and false arrive as 1 and 0.
		return true if JavaScriptBridge.eval(saving % [JSON.stringify("leaderboard." + name), JSON.stringify(text)]) else false


# Its life.


func _ready() -> void:
	process_mode = Node.PROCESS_MODE_ALWAYS  # a game that pauses sends its scores all the same
	if storage == null:
		storage = _default_storage()
	var kept: Variant = _parse(storage.read("session"))
	if kept is Dictionary and kept.has_all(["user_id", "username", "guest", "access_token", "expires_at", "refresh_token"]):
		_session = kept
	var text: String = storage.read("queue")
	var waiting: Variant = _parse(text) if text else []
	if waiting is Array and waiting.all(_is_entry):
		_entries = waiting
	else:
		push_error("The queue cannot be read. It is kept as queue-unreadable.")  # it may be somebody's scores
		storage.write("queue-unreadable", text)
	# A game connects to the signals after it has added this node.
	await _frame
	_tell_queue()
	_send_for_ever()


func _process(_delta: float) -> void:
	_frame.emit()


static func _is_entry(kept: Variant) -> bool:
	return kept is Dictionary and kept.has_all(["key", "user_id", "body", "queued_at"])


static func _default_storage() -> RefCounted:
	if not OS.has_feature("web"):
		return FileStorage.new()
	var browser := BrowserStorage.new()
	# A page in a sandboxed frame has none.
	return browser if browser.write("try", "1") else MemoryStorage.new()


# Who plays.


## Goes on as who is signed in, else makes an account without a name or a password. Who loses its tokens has lost it: see
## [method keep_account].
func play_as_guest() -> Answer:
	if not user.is_empty():  # another guest would have none of the scores, and nobody could come back to this one
		var known := Answer.new()
		known.ok = true
		return _with_user(known)
	var answer := await _call("POST", "/auth/guest", {"body": {"session": "token"}})
	if answer.ok:
		_begin(answer.data, answer.data.user_id, answer.data.username, true)
	return _with_user(answer)


## Makes an account and signs in to it.
func register(username: String, password: String) -> Answer:
	var made := await _once(
		"/auth/register", {"body": {"username": username, "password": password}}, ["urn:problem:username-taken"]
	)
	if not made.ok and not made.headers.has("repeated"):
		return made
	var answer := await login(username, password)
	# The name was taken by somebody else, and not by the call whose answer got lost.
	return made if not made.ok and not answer.ok and answer.problem.status == 401 else answer


## Signs in.
func login(username: String, password: String) -> Answer:
	var credentials := {"username": username, "password": password, "session": "token"}
	var answer := await _call("POST", "/auth/login", {"body": credentials, "tries": 3})
	if not answer.ok:
		return answer
	var account := await _call("GET", "/auth/me", {"token": answer.data.access_token, "tries": 3})
	if account.ok:
		_begin(answer.data, account.data.user_id, account.data.username, account.data.guest)
	return _with_user(account)


## Gives a guest's account a name and a password. Its number and its scores stay.
func keep_account(username: String, password: String) -> Answer:
	var token := await _token()
	if not token.ok:
		return token
	while _renewing:
		await _frame
	_renewing = true  # the guest's tokens are no longer good once this is done
	var guest := _session
	var options := {"body": {"username": username, "password": password}, "token": guest.get("access_token", "")}
	var kept := await _once("/auth/me/credentials", options, ["urn:problem:not-a-guest", 401])
	if kept.ok and is_same(guest, _session):
		_begin(kept.data, guest.user_id, username, false)
	_renewing = false
	if kept.headers.has("repeated"):
		return await login(username, password)
	return _with_user(kept)


## Signs out. The session is forgotten here whether or not the leaderboard can be told.
func logout() -> void:
	if not _session.is_empty():
		var refresh_token: String = _session.refresh_token
		_keep_session({})
		await _call("POST", "/auth/logout", {"body": {"refresh_token": refresh_token}})


# The answer to what can be done once only. If it tells that it was done, by a call whose answer got lost, it is "repeated".
func _once(path: String, options: Dictionary, done: Array) -> Answer:
	var answer: Answer
	for attempt in 3:
		answer = await _call("POST", path, options)
		if answer.ok:
			return answer
		if answer.problem.type != UNREACHABLE:
			if attempt > 0 and (answer.problem.type in done or answer.problem.status in done):
				answer.headers["repeated"] = true
			return answer
		await _wait(_pause(attempt, answer.problem.retry_after))
	return answer


# Takes the tokens of a session that begins.
func _begin(tokens: Dictionary, user_id: int, username: String, guest: bool) -> void:
	_keep_session(_with_tokens({"user_id": user_id, "username": username, "guest": guest}, tokens))
	_hurry = true


func _with_user(answer: Answer) -> Answer:
	if answer.ok:
		answer.data = user
	return answer


# Submitting.


## Queues a score. Once this returns, it is stored here. It will be counted once, however often it is sent.
##
## It needs no network, and nobody has to be signed in: then it is the score of whoever signs in next. Options: "boards" are
## those that it is for, if not all that take it; "metrics" further values; "tags" what boards choose by; "extra" what else is
## kept with it. If it cannot be queued, the submission has a problem: [constant QUEUE_FULL] or [constant NOT_STORED].
func submit(score: int, options := {}) -> Submission:
	var body := {"score": score}
	body.merge(options)
	var submission := Submission.new()
	# As text, so that each try sends the very same: numbers change when Godot reads JSON.
	var entry := {
		"key": Crypto.new().generate_random_bytes(16).hex_encode(),
		"user_id": _session.get("user_id"),
		"body": JSON.stringify(body),
		"queued_at": Time.get_unix_time_from_system(),
	}
	submission.key = entry.key
	if _entries.size() >= queue_limit:
		submission.problem = _problem(QUEUE_FULL, "%d scores wait already." % _entries.size())
	elif not _keep_queue(_entries + [entry]):
		submission.problem = _problem(NOT_STORED, "The device could not store the score.")
	if submission.problem == null:
		_submissions[entry.key] = submission
	else:
		submission._settle(_failed(submission.problem))
	return submission


## Waits until all that this player has queued is answered.
func flush() -> Answer:
	while _entries.any(_may_be_sent):
		if _session.is_empty():
			return _failed(_problem(SESSION_ENDED, "Nobody is signed in."))
		await _frame
	var answer := Answer.new()
	answer.ok = true
	return answer


# Reading. A "place" says which ranking is meant: {"board": …, "window": …, "period": …}, each of which may be left out.


## The boards: {boards, next_cursor}. Options: "prefix", "limit", "cursor".
func boards(options := {}) -> Answer:
	return await _call("GET", _API + "/boards", {"params": options, "tries": 3})


## One board, with its windows and the periods that go on.
func board(name := board_name) -> Answer:
	return await _call("GET", _API + "/boards/" + name.uri_encode(), {"tries": 3})


## The best players: {top, total_players, next_cursor, …}. Options: those of a place, "limit", "offset", "cursor".
func top(options := {}) -> Answer:
	return await _at(options, "/top")


## Where a player stands. One who has never played there is "urn:problem:player-not-found".
func rank(who: Variant = "me", place := {}) -> Answer:
	return await _at(place, "/rank/%s" % who, who is String)


## A player among so many neighbours on either side: {players, …}.
func around(who: Variant = "me", radius := 5, place := {}) -> Answer:
	return await _at(place.merged({"radius": radius}), "/around/%s" % who, who is String)


## Where up to 200 players stand, and which place each has among them: friends, a clan, a lobby.
func ranks(user_ids: Array, place := {}) -> Answer:
	return await _at(place, "/ranks", false, {"user_ids": user_ids})


## The rank that a score would have now.
func rank_of_score(score: int, place := {}) -> Answer:
	return await _at(place, "/rank/score/%d" % score)


## How many players have which scores.
func distribution(bins := 20, place := {}) -> Answer:
	return await _at(place.merged({"bins": bins}), "/distribution")


## Players whose names begin so: {players}.
func find_players(name: String) -> Answer:
	return await _call("GET", _API + "/players", {"params": {"name": name}, "tries": 3})


## A player, and where they stand.
func player(user_id: int) -> Answer:
	return await _call("GET", _API + "/players/%d" % user_id, {"tries": 3})


## Where a player stands in every window that goes on.
func standings(user_id: int) -> Answer:
	return await _call("GET", _API + "/players/%d/standings" % user_id, {"tries": 3})


## What the player has submitted, newest first: {sessions, next_cursor}. Options: "board", "limit", "cursor".
func my_sessions(options := {}) -> Answer:
	return await _call("GET", _API + "/sessions/me", {"params": options, "signed": true, "tries": 3})


func _at(place: Dictionary, path: String, signed := false, body: Variant = null) -> Answer:
	var name: String = place.get("board", board_name)
	var params := place.duplicate()
	params.erase("board")
	var options := {"params": params, "signed": signed, "body": body, "tries": 3}
	return await _call("GET" if body == null else "POST", _API + "/boards/" + name.uri_encode() + path, options)


# Watching.


## Tells of a board at once and whenever it changes, by the signals of the watch. Lost connections are opened again.
##
## Options: those of a place, "limit", and "with_me" for how the player stands. With "streaming": false the board is looked at
## every few seconds, for networks that hold streams back.
func watch(options := {}) -> Watch:
	var watching := Watch.new()
	watching._options = options.duplicate()
	_watch(watching)
	return watching


func _watch(watching: Watch) -> void:
	await _frame  # so that the game has connected to its signals
	while not watching.closed:
		var streams: bool = watching._options.get("streaming", true)
		var look: Answer
		if streams:
			look = await _stream(watching)
		else:
			look = await _poll(watching)
		if watching.closed:
			return
		if look.ok:
			if look.data == null:
				watching.ended.emit(null)
				return
			watching._failures = 0
			await _wait_for(watching, look.data)
			continue
		var problem := look.problem
		if problem.type != UNREACHABLE and problem.status not in _PASSING:
			watching.ended.emit(problem)
			return
		await _wait_for(watching, _pause(watching._failures, problem.retry_after))
		watching._failures += 1


# Hears a stream to its end. Its answer's data is how long to wait before the next one, or null: nothing more is to come.
func _stream(watching: Watch) -> Answer:
	var headers := ["Accept: text/event-stream"]
	var token := ""
	if watching._options.get("with_me", false):
		var signed_in := await _token()
		if not signed_in.ok:
			return signed_in
		token = signed_in.data
		headers.append("Authorization: Bearer " + token)
	if watching._last_id:
		headers.append("Last-Event-ID: " + watching._last_id)
	var params := watching._options.duplicate()
	for own: String in ["board", "with_me", "streaming"]:
		params.erase(own)
	var place: String = watching._options.get("board", board_name)
	var path := _API + "/boards/" + place.uri_encode() + "/live" + _query(params)
	watching._rest.clear()
	watching._event = ""
	watching._data = ""
	var answer := await _exchange("GET", path, headers, "", timeout, watching)
	if answer.ok:
		answer.data = watching._retry * randf_range(0.5, 1.5) if answer.data else null
	elif answer.problem.status == 401 and token:
		var renewed := await _token(null, token)
		return answer if renewed.ok else renewed
	return answer


# Looks once. Its answer's data is how long to wait before the next look.
func _poll(watching: Watch) -> Answer:
	var place := watching._options.duplicate()
	for own: String in ["limit", "with_me", "streaming"]:
		place.erase(own)
	var page := await top(place.merged({"limit": watching._options.get("limit", 10)}))
	if page.ok:
		watching._tell("top", page.data)
	if not page.ok or not watching._options.get("with_me", false):
		page.data = poll_seconds * randf_range(0.8, 1.2)
		return page
	var own_rank := await rank("me", place)
	if own_rank.ok:
		watching._tell("me", own_rank.data)
	own_rank.data = poll_seconds * randf_range(0.8, 1.2)
	return own_rank


func _wait_for(watching: Watch, seconds: float) -> void:
	var until := _now() + seconds
	while not watching.closed and _now() < until:
		await _frame


# Tokens.


# An access token that is good for a while: of the user who is signed in, who must be the owner where one is given.
func _token(owner_id: Variant = null, rejected := "") -> Answer:
	while _renewing:
		await _frame
	if not _session.is_empty():
		var is_rejected: bool = _session.access_token == rejected
		if is_rejected or _session.expires_at - _ahead <= Time.get_unix_time_from_system():
			var renewed := await _renew()
			# Until its end the old one is still good.
			if not renewed.ok and not _session.is_empty():
				if is_rejected or _session.expires_at <= Time.get_unix_time_from_system():
					return renewed
	if _session.is_empty():
		return _failed(_problem(SESSION_ENDED, "Nobody is signed in."))
	if owner_id != null and _session.user_id != owner_id:
		return _failed(_problem(SESSION_ENDED, "Somebody else has signed in."))
	var answer := Answer.new()
	answer.ok = true
	answer.data = _session.access_token
	return answer


# Takes new tokens for old ones. Sent again within 30 seconds, a refresh token is answered alike: so an answer may get lost.
func _renew() -> Answer:
	_renewing = true
	var before := _session
	var answer := await _call("POST", "/auth/refresh", {"body": {"refresh_token": before.refresh_token}, "tries": 3})
	_renewing = false
	if is_same(before, _session):  # else somebody has signed in or out meanwhile
		if answer.ok:
			_keep_session(_with_tokens(before, answer.data))
		elif answer.problem.status == 401:
			_keep_session({})
			session_ended.emit()
	return answer


func _with_tokens(session: Dictionary, tokens: Dictionary) -> Dictionary:
	_ahead = minf(_AHEAD, tokens.expires_in / 2.0)
	var renewed := session.duplicate()
	renewed.access_token = tokens.access_token
	renewed.refresh_token = tokens.refresh_token
	renewed.expires_at = Time.get_unix_time_from_system() + tokens.expires_in
	return renewed


# Stores it before it is used.
func _keep_session(session: Dictionary) -> void:
	var before := user
	if not storage.write("session", JSON.stringify(session) if session else ""):
		push_error("The session could not be stored. It is good until the game ends.")
	_session = session
	if user != before:
		session_changed.emit(user)


# The queue.


# Whether this client is to send it: those of the player who is signed in, or will be.
func _may_be_sent(entry: Dictionary) -> bool:
	return _session.is_empty() or entry.user_id == null or entry.user_id == _session.user_id


# Stores the changed queue, and only then goes by it.
func _keep_queue(entries: Array) -> bool:
	if not storage.write("queue", JSON.stringify(entries)):
		return false
	_entries = entries
	_tell_queue()
	return true


# Sends what waits, one after the other, and starts again after a while with what was not answered.
func _send_for_ever() -> void:
	var failures := 0
	while true:
		var sendable := [] if _session.is_empty() else _entries.filter(_may_be_sent)
		if sendable.is_empty():
			await _frame
			continue
		_hurry = false
		var problem := await _send(sendable[0])
		if problem == null:
			failures = 0
		elif problem.type == SESSION_ENDED:
			await _frame  # it waits until its player is there
		else:
			_offline = problem.type == UNREACHABLE
			_tell_queue()
			await _wait(_pause(failures, problem.retry_after), true)
			failures = 0 if _hurry else failures + 1


# Sends an entry, and removes it once it is answered for good. Gives the problem if it is to be tried again.
func _send(entry: Dictionary) -> Problem:
	if entry.user_id == null:
		# Whose it is, is written down first: keys are told apart by user, so by another user it would be counted once more.
		var claimed := _entries.map(_claim)
		return null if _keep_queue(claimed) else _problem(NOT_STORED, "The device could not store the queue.")
	var options := {"text": entry.body, "headers": ["Idempotency-Key: " + entry.key], "signed": true, "owner": entry.user_id}
	var answer := await _call("POST", _API + "/submit", options)
	if answer.ok and not answer.data.has("session_id"):
		answer = _failed(_problem(UNREACHABLE, "Something else than the leaderboard has answered."))
	if not answer.ok and (answer.problem.type in [UNREACHABLE, SESSION_ENDED] or answer.problem.status in _PASSING):
		return answer.problem
	_offline = false
	if not _keep_queue(_entries.filter(func(each: Dictionary) -> bool: return each.key != entry.key)):
		return _problem(NOT_STORED, "The device could not store the queue.")
	var submission: Submission = _submissions.get(entry.key)
	_submissions.erase(entry.key)
	if answer.ok:
		answer.data.key = entry.key
		answer.data.repeated = answer.headers.get("idempotent-replayed") == "true"
	if submission != null:
		submission._settle(answer)
	if answer.ok:
		submitted.emit(entry, answer.data)
	else:
		refused.emit(entry, answer.problem)
	return null


func _claim(entry: Dictionary) -> Dictionary:
	return entry if entry.user_id != null else entry.merged({"user_id": _session.user_id}, true)


func _tell_queue() -> void:
	var reason := "empty" if _entries.is_empty() else "offline" if _offline else "waiting"
	if _told != [_entries.size(), reason]:
		_told = [_entries.size(), reason]
		queue_changed.emit(_entries.size(), reason)


# Sending.


# What is answered, within the time-out. "tries" is above 1 for what may be done twice.
func _call(method: String, path: String, options: Dictionary) -> Answer:
	var until := _now() + timeout
	var text: String = options.get("text", "")
	if options.get("body") != null:
		text = JSON.stringify(options.body)
	var target := path + _query(options.get("params", {}))
	for attempt: int in options.get("tries", 1):
		var answer := await _try(method, target, text, options, until)
		var pause := _pause(attempt, 0.0 if answer.ok else answer.problem.retry_after)
		var again := not answer.ok and answer.problem.status in [0, 429, 502, 503, 504] and _now() + pause < until
		if answer.ok or not again or answer.problem.type == SESSION_ENDED or attempt + 1 == options.get("tries", 1):
			return answer
		await _wait(pause)
	return null


# One try, with the player's token if it is to be "signed". A token that is rejected is renewed, once.
func _try(method: String, path: String, text: String, options: Dictionary, until: float) -> Answer:
	var headers: Array = options.get("headers", []).duplicate()
	if text:
		headers.append("Content-Type: application/json")
	if not options.get("signed", false):
		if options.get("token", ""):
			headers.append("Authorization: Bearer " + options.token)
		return await _exchange(method, path, headers, text, until - _now())
	var rejected := ""
	var answer: Answer
	for attempt in 2:
		var token := await _token(options.get("owner"), rejected)
		if not token.ok:
			return token
		answer = await _exchange(method, path, headers + ["Authorization: Bearer " + token.data], text, until - _now())
		if answer.ok or answer.problem.status != 401:
			return answer
		rejected = token.data
	return answer


# One request and its answer. A stream is heard by its watch, and then it is the silence that has a limit.
func _exchange(
	method: String, path: String, headers: Array, text: String, seconds: float, watching: Watch = null
) -> Answer:
	var client := HTTPClient.new()
	var place := url.trim_suffix("/").split("://")
	var tls := TLSOptions.client() if place[0] == "https" else null
	var host := place[-1].get_slice("/", 0)
	var base := place[-1].substr(host.length())
	var port := int(host.get_slice(":", 1)) if ":" in host else 443 if tls != null else 80
	var until := _now() + seconds
	var asked := false
	var answer := Answer.new()
	var status := 0
	var body := PackedByteArray()
	if client.connect_to_host(host.get_slice(":", 0), port, tls) != OK:
		return _failed(_problem(UNREACHABLE, "%s is no address." % url))
	while true:
		client.poll()
		var state := client.get_status()
		if status == 0 and client.has_response():
			# At once, because a connection that breaks takes them with it.
			status = client.get_response_code()
			answer.headers = _lower(client.get_response_headers_as_dictionary())
		if state == HTTPClient.STATUS_CONNECTED and not asked:
			asked = true
			var verb := HTTPClient.METHOD_GET if method == "GET" else HTTPClient.METHOD_POST
			if client.request_raw(verb, base + path, PackedStringArray(headers), text.to_utf8_buffer()) != OK:
				break
		elif state == HTTPClient.STATUS_BODY:
			var chunk := client.read_response_body_chunk()
			if watching != null and status == 200:
				if chunk:
					until = _now() + silence
					watching._hear(chunk)
			else:
				body.append_array(chunk)
			if chunk:
				continue
		elif state not in [HTTPClient.STATUS_RESOLVING, HTTPClient.STATUS_CONNECTING, HTTPClient.STATUS_REQUESTING]:
			break  # it has ended, or could not begin
		if _now() > until or (watching != null and watching.closed):
			client.close()
			return _failed(_problem(UNREACHABLE, "There was no answer in time."))
		await _frame
	if status == 0:
		return _failed(_problem(UNREACHABLE, "There was no answer."))
	if watching != null and status in [200, 204]:
		answer.ok = true
		answer.data = status == 200  # whether there may be more
		return answer
	return _read(answer, status, body)


# What an answer says.
func _read(answer: Answer, status: int, body: PackedByteArray) -> Answer:
	var said: Variant = {} if status == 204 else _parse(body.get_string_from_utf8())
	answer.ok = status >= 200 and status < 300 and said is Dictionary
	if answer.ok:
		answer.data = said
		return answer
	# Only what the leaderboard itself refuses is a problem. A hotel's sign-in page, or a gateway that is being set up, answers
	# 403 or 404 too, and no score may be lost by that.
	var content_type: String = answer.headers.get("content-type", "")
	var is_problem := said is Dictionary and content_type.begins_with("application/problem+json")
	var problem := _problem(UNREACHABLE, "The leaderboard could not answer: HTTP status %d." % status)
	if status == 429 or (status >= 400 and status < 500 and is_problem):
		problem.type = "about:blank"
	if is_problem:
		problem.title = said.get("title", "")
		problem.detail = said.get("detail", problem.title)
		problem.errors = said.get("errors", [])
		if problem.type != UNREACHABLE:
			problem.type = said.get("type", problem.type)
	problem.status = status
	problem.retry_after = maxf(0.0, float(answer.headers.get("retry-after", "0")))
	answer.problem = problem
	return answer


static func _lower(headers: Dictionary) -> Dictionary:
	var lower := {}
	for name: String in headers:
		lower[name.to_lower()] = headers[name]
	return lower


# What all of it uses.


func _wait(seconds: float, until_signed_in := false) -> void:
	var until := _now() + seconds
	while _now() < until and not (until_signed_in and _hurry):
		await _frame


static func _now() -> float:
	return Time.get_ticks_msec() / 1000.0


# Seconds to wait: as many as were asked for, and a random time, longer with each failure, so that not all come at once.
static func _pause(failures: int, retry_after: float) -> float:
	return retry_after + randf() * minf(_LONGEST_PAUSE, _FIRST_PAUSE * pow(2, mini(failures, 10)))


static func _query(params: Dictionary) -> String:
	var pairs := PackedStringArray()
	for name: String in params:
		if params[name] != null:
			pairs.append(name + "=" + str(params[name]).uri_encode())
	return "?" + "&".join(pairs) if pairs else ""


static func _problem(type: String, detail: String) -> Problem:
	var problem := Problem.new()
	problem.type = type
	problem.detail = detail
	return problem


static func _failed(problem: Problem) -> Answer:
	var answer := Answer.new()
	answer.problem = problem
	return answer


# What a JSON text says, or null. Godot reads each number as a float: whole ones become integers again.
static func _parse(text: String) -> Variant:
	var json := JSON.new()
	return _whole(json.data) if json.parse(text) == OK else null


static func _whole(value: Variant) -> Variant:
	if value is float and value == floorf(value) and absf(value) < 9007199254740992.0:
		return int(value)
	if value is Array:
		return value.map(_whole)
	if value is Dictionary:
		for name: Variant in value:
			value[name] = _whole(value[name])
	return value
