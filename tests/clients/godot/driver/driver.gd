extends Node
## Runs what a test sends: each line has a script and a number, and its answer is printed as a line with that number.

var scene: Node


func _ready() -> void:
	_begin()
	print("ready")


func _process(_delta: float) -> void:
	var line: Variant = JavaScriptBridge.eval("next_line()")
	if line is String:
		_run(JSON.parse_string(line))


func _begin() -> void:
	scene = Node.new()
	add_child(scene)


func _run(order: Dictionary) -> void:
	if order.begin:
		scene.queue_free()
		_begin()
	var script := GDScript.new()
	script.source_code = order.script
	var answer := {"number": int(order.number), "compiled": script.reload() == OK, "value": null}
	if answer.compiled:
		var runner: Node = script.new()
		scene.add_child(runner)
		if runner.has_method("run"):
			answer.value = await runner.run()
	print("answer ", JSON.stringify(answer))
