// SPDX-License-Identifier: GPL-2.0-only
// Opened with #selftest, the page uses itself as a person would and notes whether it does what it
// should. The tests read that; for anybody else it tells whether a browser can show this report.

async function selfTest() {
	const results = [];
	// A browser without a window draws no frames by itself.
	const settled = async () => {
		await new Promise((done) => { setTimeout(done); });
		cancelAnimationFrame(frame);
		drawNow();
	};
	const check = (name, holds, got) => results.push({ name, ok: Boolean(holds), got: String(got) });
	const span = () => view.to - view.from;
	const box = () => canvas.getBoundingClientRect();
	const send = (type, x, y, more = {}, target = canvas) => {
		const r = target.getBoundingClientRect(), Type = type === "wheel" ? WheelEvent : PointerEvent;
		target.dispatchEvent(new Type(type, { bubbles: true, cancelable: true, clientX: r.left + x, clientY: r.top + y, pointerId: 1, ...more }));
	};
	const key = (name) => scroller.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
	const width = box().width;
	const all = span();

	scroller.scrollIntoView();
	send("wheel", width / 2, 20, { deltaY: -250, ctrlKey: true });
	check("Ctrl and wheel zoom", Math.abs(span() - all / 2) < all / 100, span() / all);
	const from = view.from;
	send("wheel", width / 2, 20, { deltaY: 100, shiftKey: true });
	check("Shift and wheel move", view.from > from && Math.abs(span() - all / 2) < all / 100, view.from - from);
	const was = span();
	send("wheel", width / 2, 20, { deltaY: 100 });
	check("the wheel alone leaves the time", span() === was, span());
	byId("reset").click();
	check("all again", Math.abs(span() - all) < 1, span());
	byId("zoom-in").click();
	byId("zoom-in").click();
	byId("zoom-out").click();
	check("buttons zoom", Math.abs(span() - all / 2) < all / 100, span() / all);
	byId("reset").click();
	send("pointerdown", width * 0.25, 20, { buttons: 1 });
	send("pointermove", width * 0.5, 24, { buttons: 1 });
	await settled();
	send("pointerup", width * 0.5, 24);
	check("a drag zooms into its range", Math.abs(span() - all / 4) < all / 100
		&& Math.abs(view.from - (whole.from + all / 4)) < all / 100, span() / all);
	const left = view.from;
	send("pointerdown", width * 0.5, 20, { buttons: 1, shiftKey: true });
	send("pointermove", width * 0.75, 20, { buttons: 1, shiftKey: true });
	send("pointerup", width * 0.75, 20);
	check("Shift and drag move", view.from < left && Math.abs(span() - all / 4) < all / 100, view.from - left);
	key("0");
	key("+");
	key("ArrowRight");
	check("keys zoom and move", span() < all * 0.6 && view.from > whole.from + all * 0.25, span() / all);
	key("0");
	key("Home");
	check("a key chooses a lane", chosen === (listed[0] || null), chosen && chosen.name);
	for (let i = 0; i < 80; i++) zoom(0.5);
	await settled();
	check("there is a narrowest window", span() >= NARROWEST && span() < NARROWEST * 1.01, span());
	for (let i = 0; i < 80; i++) zoom(2);
	check("and a widest", Math.abs(span() - all) < 1, span());

	const lane = listed.find((l) => open(l).marks.some((m) => m.type === "loss"));
	if (lane) {
		const loss = lane.marks.find((m) => m.type === "loss");
		goTo(lane, loss.t);
		await settled();
		const x = (loss.t - view.from) / span() * box().width, y = listed.indexOf(lane) * LANE - scroller.scrollTop + LANE / 2;
		send("pointermove", x, y);
		check("pointing at a loss says so", !byId("tip").hidden && byId("tip").textContent.includes("lost")
			&& byId("tip").textContent.includes(lane.name), byId("tip").textContent);
		send("pointerleave", 0, 0);
		check("and no more when the pointer leaves", byId("tip").hidden, byId("tip").hidden);
		lane.at = undefined;
		key("n");
		check("a key goes to the next event", byId("said").textContent.includes(lane.name + ":")
			|| byId("said").textContent.startsWith(lane.name), byId("said").textContent);
		const row = () => byId("losses").querySelector("tbody tr.go");
		const heads = [...byId("losses").querySelectorAll("th")], seq = heads.findIndex((h) => h.textContent === "Seq");
		const expected = Math.max(...losses.map((l) => l.seq));
		heads[seq].firstChild.click();
		check("a head sorts", row().children[seq].textContent === String(expected)
			&& heads[seq].getAttribute("aria-sort") === "descending", row().children[seq].textContent);
		heads[seq].firstChild.click();
		check("and the other way", row().children[seq].textContent === String(Math.min(...losses.map((l) => l.seq))), row().children[seq].textContent);
		const find = byId("losses").querySelector("input");
		find.value = lane.name.toLowerCase();
		find.dispatchEvent(new Event("input"));
		check("words filter", lossTable.order.length > 0
			&& lossTable.order.every((i) => lossTable.texts[i].includes(find.value.split(/\s+/).filter(Boolean)[0])), lossTable.order.length);
		find.value = "";
		find.dispatchEvent(new Event("input"));
		byId("reset").click();
		row().click();
		check("a row leads to its place", chosen === lanes[losses[row().dataset.row].lane]
			&& view.from <= losses[row().dataset.row].t && view.to >= losses[row().dataset.row].t, span());
		byId("reset").click();
		byId("affected").click();
		check("only phones with losses", listed.length > 0 && listed.every((l) => l.lost || l.unregistered), listed.length);
		byId("affected").click();
	}
	check("few rows are in the page", byId("losses").querySelectorAll("tbody tr").length < 80, byId("losses").querySelectorAll("tbody tr").length);
	scroller.scrollTop = scroller.scrollHeight;
	await settled();
	const names = [...byId("labels").children];
	check("the last lane can be scrolled to", !lanes.length || names.at(-1).dataset.lane === String(listed.at(-1).index), names.length);
	check("few lanes are in the page", names.length < 120, names.length);
	const before = statistics.draws;
	byId("legend").querySelector("input").click();
	await settled();
	check("what is drawn can be chosen", !shown.keepalive && statistics.draws > before, statistics.draws);
	byId("legend").querySelector("input").click();
	byId("find").value = "no phone has this name";
	byId("find").dispatchEvent(new Event("input"));
	check("a search may find nothing", listed.length === 0, listed.length);
	byId("find").value = "";
	byId("find").dispatchEvent(new Event("input"));
	if (data.utc_offset_s && lossTable.all.length) {
		const cell = () => byId("losses").querySelector("tbody tr.go td").textContent, local = cell();
		byId("zone").click();
		await settled();
		check("times in UTC", byId("zone-name").textContent === "Times in UTC" && cell() !== local, `${local} is ${cell()}`);
		byId("zone").click();
		await settled();
		check("and local again", byId("zone-name").textContent !== "Times in UTC" && cell() === local, byId("zone-name").textContent);
	}
	dispatchEvent(new Event("beforeprint"));
	const sheets = byId("paper").querySelectorAll("canvas").length;
	check("lanes with losses are put on paper", (sheets > 0) === listed.some((l) => l.lost || l.unregistered), sheets);
	check("and rows of the tables", byId("losses").querySelectorAll("tbody tr.go").length === Math.min(losses.length, ON_PAPER),
		byId("losses").querySelectorAll("tbody tr").length);
	dispatchEvent(new Event("afterprint"));
	check("what was on paper goes", !byId("paper").children.length, byId("paper").children.length);
	scroller.scrollTop = 0;
	choose(null);
	show(whole.from, whole.to);
	const note = element("pre", { id: "selftest" }, results.map((r) => `${r.ok ? "ok" : "FAIL"} ${r.name}: ${r.got}`.replace(/\n/g, " ")).join("\n"));
	note.dataset.failed = results.filter((r) => !r.ok).length;
	document.querySelector("main").append(note);
}

if (location.hash === "#selftest") selfTest();
