// The mark form. A page from a file cannot write beside itself: it downloads the mark and remembers it in the browser.

(function startMark() {
  const form = document.getElementById("mark-form");
  const status = document.getElementById("mark-status");
  const shown = document.getElementById("mark-shown");
  const embedded = JSON.parse(document.getElementById("mark-data").textContent);
  const file = decodeURIComponent(location.pathname.split("/").pop() || "report.html");
  const download = `${file.replace(/\.html?$/i, "")}.mark.json`;
  const key = `registration-mark ${embedded.report_created} ${file}`;

  function remembered() {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch (error) {
      // Browsers may keep nothing for files; the download is what counts.
      return null;
    }
  }

  function remember(mark) {
    try {
      localStorage.setItem(key, JSON.stringify(mark));
      return true;
    } catch (error) {
      return false;
    }
  }

  function showMark(mark, where) {
    const word = document.createElement("strong");
    word.className = `mark-word ${mark.mark}`;
    word.textContent = mark.mark[0].toUpperCase() + mark.mark.slice(1);
    const name = document.createElement("bdi");
    name.textContent = mark.name;
    const comment = document.createElement("span");
    comment.className = "comment";
    comment.textContent = mark.comment;
    shown.replaceChildren(word, mark.name ? " by " : "", name, `, ${mark.when}${where}`, mark.comment ? comment : "");
  }

  function fill(mark) {
    form.elements.mark.value = mark.mark;
    document.getElementById("mark-name").value = mark.name;
    document.getElementById("mark-comment").value = mark.comment;
  }

  const kept = remembered();
  if (kept && (!embedded.mark || Date.parse(kept.when) > Date.parse(embedded.mark.when))) {
    showMark(kept, " (remembered by this browser only)");
    fill(kept);
  } else if (embedded.mark) {
    fill(embedded.mark);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const mark = {
      mark: form.elements.mark.value,
      name: document.getElementById("mark-name").value.trim(),
      comment: document.getElementById("mark-comment").value.trim(),
      when: new Date().toISOString(),
    };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${JSON.stringify({ ...mark, report_created: embedded.report_created }, null, 2)}\n`], { type: "application/json" }));
    link.download = download;
    link.click();
    URL.revokeObjectURL(link.href);
    const stays = remember(mark);
    showMark(mark, "");
    status.textContent = `${download} was downloaded. Keep it in the folder of this report` +
      (stays ? "; this browser remembers the mark, too." : ".");
  });
  form.hidden = false;
}());
