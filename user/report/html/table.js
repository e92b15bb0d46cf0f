// SPDX-License-Identifier: GPL-2.0-only
// Tables that hold only the rows in sight: sorted by their columns' heads, filtered by words.

const ROW = 28, ON_PAPER = 1000;
const tables = [];

function element(name, properties = {}, ...children) {
	const node = Object.assign(document.createElement(name), properties);
	node.append(...children);
	return node;
}

// columns: [{ name, text(row), value(row) (to sort by), number, onScreen (not on paper) }];
// go(row): on a click; may be absent.
class Table {
	constructor(place, noun, columns, all, more, go) {
		Object.assign(this, { columns, all, go, noun, more, order: all.map((_, i) => i), from: -1, to: -1, by: null, down: false });
		this.find = element("input", { type: "search", placeholder: "Filter", ariaLabel: `Filter ${noun}` });
		this.count = element("span", { className: "hint", role: "status" });
		for (const c of columns) c.className = [c.number && "number", c.onScreen && "screen-only"].filter(Boolean).join(" ");
		this.head = element("tr", {}, ...columns.map((c, i) => {
			const button = element("button", { type: "button" }, c.name);
			button.addEventListener("click", () => this.sort(i));
			return element("th", { scope: "col", className: c.className }, button);
		}));
		this.body = element("tbody");
		this.table = element("table", { ariaRowCount: String(all.length + 1) }, element("thead", {}, this.head), this.body);
		this.box = element("div", { className: "table", tabIndex: 0, role: "region", ariaLabel: noun }, this.table);
		place.append(element("div", { className: "bar" }, this.find, this.count), element("div", { className: "card" }, this.box));
		this.none = element("p", { className: "none" }, `No ${noun}.`);
		this.box.after(this.none);
		this.find.addEventListener("input", () => this.filter());
		this.box.addEventListener("scroll", () => this.draw());
		const follow = (event) => {
			const row = event.target.closest("tr.go");
			if (row && go && (event.type === "click" || event.key === "Enter")) go(this.all[row.dataset.row]);
		};
		this.body.addEventListener("click", follow);
		this.body.addEventListener("keydown", follow);
		this.filter();
		tables.push(this);
	}

	filter() {
		const words = this.find.value.toLowerCase().split(/\s+/).filter(Boolean);
		if (words.length && !this.texts) this.texts = this.all.map((r) => this.columns.map((c) => c.text(r)).join(" ").toLowerCase());
		this.order = this.all.map((_, i) => i);
		if (words.length) this.order = this.order.filter((i) => words.every((w) => this.texts[i].includes(w)));
		this.arrange();
	}
	sort(column) {
		this.down = this.by === column ? !this.down : Boolean(this.columns[column].number);
		this.by = column;
		this.arrange();
	}
	arrange() {
		if (this.by !== null) {
			const { value, text } = this.columns[this.by], get = value || text, sign = this.down ? -1 : 1;
			const keys = new Map(this.order.map((i) => [i, get(this.all[i])]));
			const empty = (k) => k === null || k === undefined || k === "";
			this.order.sort((i, j) => {
				const a = keys.get(i), b = keys.get(j);
				if (empty(a) || empty(b)) return empty(a) - empty(b) || i - j;
				return a < b ? -sign : a > b ? sign : i - j;
			});
		}
		[...this.head.children].forEach((th, i) => {
			if (i === this.by) th.setAttribute("aria-sort", this.down ? "descending" : "ascending");
			else th.removeAttribute("aria-sort");
		});
		this.none.hidden = this.order.length > 0;
		this.table.hidden = !this.all.length;
		this.find.hidden = !this.all.length;
		this.count.textContent = this.all.length ? `${this.order.length} of ${this.all.length + this.more} ${this.noun}`
			+ (this.more ? `; ${this.more} are not in this file (--format json has more)` : "") : "";
		this.box.scrollTop = 0;
		this.refresh();
	}
	refresh() {
		this.from = -1;
		this.draw();
	}
	row(i, at) {
		const row = this.all[i];
		const node = element("tr", {}, ...this.columns.map((c) => {
			const text = String(c.text(row) ?? "");
			return element("td", { className: c.className, title: text.length > 40 ? text : "" }, text);
		}));
		node.setAttribute("aria-rowindex", at + 2);
		node.dataset.row = i;
		if (this.go) {
			node.className = "go";
			node.tabIndex = 0;
		}
		return node;
	}
	spacer(rows) {
		const cell = element("td", { colSpan: this.columns.length });
		cell.style.height = rows * ROW + "px";
		return element("tr", { className: "spacer", ariaHidden: "true" }, cell);
	}
	draw() {
		const count = this.order.length, seen = Math.ceil((this.box.clientHeight || 440) / ROW);
		let from = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 10);
		from -= from % 2;
		const to = Math.min(count, from + seen + 22);
		if (from === this.from && to === this.to) return;
		this.from = from;
		this.to = to;
		const nodes = this.order.slice(from, to).map((i, k) => this.row(i, from + k));
		this.body.replaceChildren(...(from ? [this.spacer(from)] : []), ...nodes, ...(to < count ? [this.spacer(count - to)] : []));
	}
	onPaper() {
		const nodes = this.order.slice(0, ON_PAPER).map((i, k) => this.row(i, k));
		const left = this.order.length - nodes.length;
		this.body.replaceChildren(...nodes);
		if (left > 0) this.body.append(element("tr", {}, element("td", { colSpan: this.columns.length }, `and ${left} more`)));
		this.from = -1;
	}
}
