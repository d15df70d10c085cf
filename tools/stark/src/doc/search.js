// Search over `window.STARK_INDEX`, rows of name, kind, page and first sentence. Arrow keys choose, Enter opens, Escape closes.
(function () {
  "use strict";
  const index = window.STARK_INDEX || [];
  const root = document.body.dataset.root;
  const input = document.getElementById("search");
  const results = document.getElementById("results");
  const MOST = 40;
  let chosen = 0;

  // Smaller is better; -1 does not fit. A name's last part counts most.
  function rank(row, words) {
    const name = row[0].toLowerCase();
    const last = name.slice(name.lastIndexOf(".") + 1);
    let total = 0;
    for (const word of words) {
      if (last === word || name === word) total += 0;
      else if (last.startsWith(word)) total += 1;
      else if (name.includes(word)) total += 2;
      else if (row[3].toLowerCase().includes(word)) total += 4;
      else return -1;
    }
    return total + name.length / 1000;
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = words.length === 0 ? [] : index
      .map((row) => [rank(row, words), row])
      .filter((pair) => pair[0] >= 0)
      .sort((a, b) => a[0] - b[0])
      .slice(0, MOST);
    results.replaceChildren();
    for (const [, row] of found) {
      const item = document.createElement("li");
      const link = document.createElement("a");
      const kind = document.createElement("span");
      const text = document.createElement("p");
      link.href = root + row[2];
      kind.className = "kind";
      kind.textContent = " " + row[1];
      text.textContent = row[3];
      link.append(row[0], kind, text);
      item.append(link);
      results.append(item);
    }
    if (words.length > 0 && found.length === 0) {
      const item = document.createElement("li");
      item.textContent = "Nothing of that name.";
      results.append(item);
    }
    results.classList.toggle("open", words.length > 0);
    choose(0);
  }

  function choose(to) {
    const links = results.querySelectorAll("a");
    if (links.length === 0) return;
    chosen = (to + links.length) % links.length;
    links.forEach((link, i) => link.classList.toggle("chosen", i === chosen));
    links[chosen].scrollIntoView({ block: "nearest" });
  }

  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    const links = results.querySelectorAll("a");
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter" && links[chosen]) links[chosen].click();
    else if (event.key === "Escape") { input.value = ""; show(); input.blur(); }
    else return;
    event.preventDefault();
  });
  results.addEventListener("click", () => { input.value = ""; show(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
  });
})();
