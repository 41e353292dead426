// Search: every word must occur; titles count more than text, and beginnings of words more.
(function () {
  const box = document.getElementById("search");
  const found = document.getElementById("found");
  const root = document.body.dataset.root;
  const lower = PAGES.map(([, title, text]) => [title.toLowerCase(), text.toLowerCase()]);
  const escape = (text) => text.replace(/[&<>"]/g, (it) => `&#${it.charCodeAt(0)};`);

  function score([title, text], words) {
    let sum = 0;
    for (const word of words) {
      const inTitle = title.indexOf(word), inText = text.indexOf(word);
      if (inTitle < 0 && inText < 0) return 0;
      if (inTitle >= 0) sum += 20 + (/\w/.test(title[inTitle - 1] || " ") ? 0 : 20);
      if (inText >= 0) sum += 1 + Math.min(9, text.split(word).length - 2);
    }
    return sum;
  }

  function excerpt(text, words) {
    const at = Math.max(0, Math.min(...words.map((it) => {
      const place = text.toLowerCase().indexOf(it);
      return place < 0 ? Infinity : place;
    })) - 60);
    const piece = text.slice(Number.isFinite(at) ? at : 0).slice(0, 190);
    let marked = escape(piece);
    for (const word of words) {
      const pattern = escape(word).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      marked = marked.replace(new RegExp(`(${pattern})(?![^<]*>)`, "gi"), "<mark>$1</mark>");
    }
    return marked;
  }

  function show() {
    const words = box.value.toLowerCase().split(/\s+/).filter((it) => it);
    const scored = words.length === 0 ? [] : PAGES
      .map((page, index) => [score(lower[index], words), page])
      .filter(([points]) => points > 0)
      .sort((one, other) => other[0] - one[0])
      .slice(0, 20);
    found.hidden = words.length === 0;
    found.innerHTML = scored.map(([, [place, title, text]]) =>
      `<a href="${root}${place}"><b>${escape(title)}</b><span>${excerpt(text, words)}</span></a>`
    ).join("") || "<p>Nothing has all of these words.</p>";
  }

  box.addEventListener("input", show);
  box.addEventListener("focus", show);
  document.addEventListener("click", (event) => {
    if (event.target !== box) found.hidden = true;
  });
  document.addEventListener("keydown", (event) => {
    const results = [...found.querySelectorAll("a")];
    const chosen = results.findIndex((it) => it.classList.contains("chosen"));
    if (event.key === "/" && document.activeElement !== box) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape") {
      found.hidden = true;
      box.blur();
    } else if (!found.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const next = chosen + (event.key === "ArrowDown" ? 1 : -1);
      results.forEach((it, index) => it.classList.toggle("chosen", index === next));
      if (results[next]) results[next].scrollIntoView({ block: "nearest" });
    } else if (!found.hidden && event.key === "Enter" && document.activeElement === box) {
      const target = results[Math.max(0, chosen)];
      if (target) location.href = target.href;
    }
  });
})();
