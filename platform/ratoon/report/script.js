"use strict";
(() => {
  const value = (row, at) => {
    const cell = row.cells[at];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    return text === "" ? null : Number.isNaN(Number(text)) ? text.toLowerCase() : Number(text);
  };
  const order = (left, right) => {
    if (left === null || right === null) return (left === null) - (right === null);
    return typeof left === "number" && typeof right === "number" ? left - right : String(left).localeCompare(String(right), "en");
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      if (!("sortable" in head.dataset)) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const next = now ? (now === "descending" ? "ascending" : "descending") : head.dataset.sortable || "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const body = table.tBodies[0];
        [...body.rows]
          .map((row) => [value(row, at), row])
          .sort((a, b) => (a[0] === null || b[0] === null ? order(a[0], b[0]) : sign * order(a[0], b[0])))
          .forEach(([, row]) => body.append(row));
      });
    });
  });

  const tip = document.getElementById("tip");
  let shown = null;
  const hide = () => { shown?.classList.remove("on"); shown = null; tip.hidden = true; };
  const show = (mark) => {
    if (mark === shown) return;
    hide();
    shown = mark;
    mark.classList.add("on");
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = mark.getBoundingClientRect();
    const left = Math.min(Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 12), innerWidth - tip.offsetWidth - 12);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 8 ? above : Math.min(box.bottom + 8, innerHeight - tip.offsetHeight - 8)}px`;
  };
  document.querySelectorAll(".timeline").forEach((chart) => {
    const marks = [...chart.querySelectorAll(".mark")].filter((mark) => mark.querySelector("title"));
    marks.forEach((mark) => {
      const title = mark.querySelector("title");
      mark.dataset.tip = title.textContent;
      title.remove();
      mark.addEventListener("pointerenter", () => show(mark));
      mark.addEventListener("pointerdown", () => show(mark));
    });
    chart.addEventListener("pointerleave", hide);
    const middle = (mark) => { const box = mark.getBoundingClientRect(); return box.left + box.width / 2; };
    chart.parentElement.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !marks.length) return;
      event.preventDefault();
      const line = marks.map((mark) => [middle(mark), mark]).sort((a, b) => a[0] - b[0]).map(([, mark]) => mark);
      const at = line.indexOf(shown);
      show(line[at < 0 ? line.length - 1 : Math.min(Math.max(at + step, 0), line.length - 1)]);
    });
    chart.parentElement.addEventListener("blur", hide);
  });
  addEventListener("scroll", hide, { passive: true });

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")].filter((one) => !one.classList.contains("decision"));
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
})();
