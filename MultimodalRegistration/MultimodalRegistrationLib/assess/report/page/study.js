// Shows the cases of one verdict, or those in which a text occurs.

(function startFilters() {
  const buttons = [...document.querySelectorAll("#filters button")];
  const find = document.getElementById("find");
  const nothing = document.getElementById("nothing");
  const status = document.getElementById("status");
  const rows = [...document.querySelectorAll("#cases tbody tr")];
  let texts = null;
  let word = "";

  // Whole paths are in titles.
  function textOf(row) {
    return [row, ...row.querySelectorAll("[title]")].map((part) => `${part === row ? row.textContent : part.title}`).join(" ").toLowerCase();
  }

  function apply() {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length) texts = texts || rows.map(textOf);
    let shown = 0;
    rows.forEach((row, n) => {
      row.hidden = Boolean(word && row.dataset.word !== word) || !wanted.every((part) => texts[n].includes(part));
      if (!row.hidden) shown += 1;
    });
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.value === word));
    nothing.hidden = shown > 0 || rows.length === 0;
    status.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} cases shown.`;
  }

  for (const button of buttons) {
    button.disabled = false;
    button.addEventListener("click", () => {
      word = word === button.value ? "" : button.value;
      apply();
    });
  }
  find.addEventListener("input", apply);
  document.getElementById("clear").addEventListener("click", () => {
    word = "";
    find.value = "";
    apply();
    find.focus();
  });
  document.getElementById("find-label").hidden = false;

  // Paper and quick scrolling need all pictures, but the page opens with those that are seen.
  const later = [...document.querySelectorAll("img[loading=lazy]")];
  function load(count) {
    for (const image of later.splice(0, count)) image.loading = "eager";
  }
  function loadMore() {
    load(25);
    if (later.length) setTimeout(loadMore, 100);
  }
  addEventListener("load", () => setTimeout(loadMore, 500));
  addEventListener("beforeprint", () => load(later.length));

  // A browser may bring a text back when the page is opened again.
  apply();
}());
