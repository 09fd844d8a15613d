// Three linked planes of the fixed and the moving volume.

const MOST_PIXELS_PER_MM = 4;
const MODES = ["colour", "fade", "checkerboard", "edges", "difference"];
const LEGENDS = {
  colour: "Green: fixed volume. Magenta: moving volume. Good: every outline lies on its counterpart, and tissues keep one colour " +
    "throughout. Bad: an outline appears twice, with a green rim on one side and a magenta one on the other.",
  fade: "Good: nothing jumps as the slider moves. Bad: outlines double or wander.",
  checkerboard: "Squares alternate between the fixed and the moving volume. Good: outlines go on across the borders of the squares. Bad: they break there.",
  edges: "Grey: fixed volume. Orange: edges of the moving volume. Good: they follow the outlines below. Bad: they run beside them.",
  difference: "Black: alike. Orange: moving brighter. Blue: fixed brighter. Grey: only one reaches there. " +
    "Tissues of two modalities differ even when aligned.",
};

function makeViewer(geometry, volumes) {
  const root = document.getElementById("viewer");
  const byId = (id) => document.getElementById(id);
  const { size } = geometry;
  const step = geometry.step_ras.map(Math.abs);
  const middle = size.map((n) => Math.floor(n / 2));
  const windows = {};
  const state = { at: [...middle], cross: true };
  const ranks = new Map();
  const figures = [...document.querySelectorAll("#planes figure")].map((figure) => ({
    plane: PLANES[figure.dataset.plane],
    title: figure.querySelector("figcaption span").textContent,
    canvas: figure.querySelector("canvas"),
    slider: figure.querySelector("input"),
    shown: figure.querySelector("output"),
    figure,
  }));
  // Pixels of the canvases per pixel of the page's layout.
  let canvasPixels = 1;

  const chosen = (name) => root.querySelector(`input[name=${name}]:checked`).value;
  const choose = (name, value) => { root.querySelector(`input[name=${name}][value=${value}]`).checked = true; };
  const afterKey = () => (geometry.methods.length ? `after-${byId("method").value}` : "before");
  // The state that the mouse points at, else the chosen one.
  const stateShown = () => state.pointedAt || chosen("state");
  const movingKey = () => (stateShown() === "before" ? "before" : afterKey());

  const nameOf = (key) => (key === "before" ? geometry.before : `After: ${geometry.methods[byId("method").value]}`);

  function millimetres(axis, index) {
    const ras = geometry.origin_ras[axis] + index * geometry.step_ras[axis];
    const letters = ["LR", "PA", "IS"][axis];
    return `${letters[ras < 0 ? 0 : 1]} ${Math.abs(ras).toFixed(1)} mm`;
  }

  function rankOf(key) {
    if (!ranks.has(key)) ranks.set(key, rankTable(volumes[key]));
    return ranks.get(key);
  }

  function tablesFor(mode, moving) {
    const tables = {};
    for (const role of ["fixed", "moving"]) {
      tables[role] = windowTable(geometry[role].values, windows[role].level, windows[role].width);
    }
    const byRank = mode === "difference" && byId("normalise").value === "rank";
    tables.fixedCompared = byRank ? rankOf("fixed") : tables.fixed;
    tables.movingCompared = byRank ? rankOf(moving) : tables.moving;
    return tables;
  }

  function draw(canvas, plane, moving, mode) {
    const { width, height } = canvas;
    const position = state.at[plane.normal];
    const [fixedCut, movingCut] = ["fixed", moving].map((key) => cutPlane(volumes[key], size, plane, position, width, height));
    const options = {
      fade: Number(byId("fade").value),
      square: Math.max(1, Number(byId("square").value) * width / (size[plane.right] * step[plane.right])),
      edges: Number(byId("edges").value),
    };
    const context = canvas.getContext("2d");
    context.putImageData(composePlane(mode, fixedCut, movingCut, tablesFor(mode, moving), options, width, height), 0, 0);
    if (state.cross) drawLines(context, plane, width, height);
    drawLetters(context, plane.letters, width, height);
  }

  function drawLines(context, plane, width, height) {
    const x = (state.at[plane.right] + 0.5) / size[plane.right] * width;
    const along = (state.at[plane.down] + 0.5) / size[plane.down] * height;
    const y = plane.flip ? height - along : along;
    const gap = Math.min(width, height) / 20;
    context.strokeStyle = "rgba(86, 180, 233, 0.8)";
    context.lineWidth = canvasPixels;
    context.beginPath();
    for (const [a, b, c, d] of [[0, y, x - gap, y], [x + gap, y, width, y], [x, 0, x, y - gap], [x, y + gap, x, height]]) {
      context.moveTo(a, b);
      context.lineTo(c, d);
    }
    context.stroke();
  }

  function drawLetters(context, letters, width, height) {
    const font = Math.round(15 * canvasPixels);
    context.font = `600 ${font}px sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = font / 5;
    context.strokeStyle = "#000";
    context.fillStyle = "#fff";
    const places = [[font * 0.7, height / 2], [width - font * 0.7, height / 2], [width / 2, font * 0.8], [width / 2, height - font * 0.8]];
    places.forEach(([x, y], n) => {
      context.strokeText(letters[n], x, y);
      context.fillText(letters[n], x, y);
    });
  }

  function show() {
    const mode = chosen("mode");
    const moving = movingKey();
    const name = nameOf(moving);
    for (const item of figures) {
      draw(item.canvas, item.plane, moving, mode);
      const place = millimetres(item.plane.normal, state.at[item.plane.normal]);
      item.slider.value = state.at[item.plane.normal];
      item.slider.setAttribute("aria-valuetext", place);
      item.shown.textContent = place;
      item.canvas.setAttribute("aria-label", `${item.title} plane at ${place}, ${mode}, ${name}`);
    }
    const options = [...root.querySelectorAll("[data-mode]")];
    for (const label of options) label.hidden = label.dataset.mode !== mode;
    root.querySelector(".option").hidden = options.every((label) => label.hidden);
    byId("square-shown").textContent = `${byId("square").value} mm`;
    byId("legend").textContent = LEGENDS[mode];
    // A pause, so that a reader is not flooded while a slider moves.
    clearTimeout(show.timer);
    show.timer = setTimeout(() => {
      byId("status").textContent = `${name}. ` +
        `Position ${[0, 1, 2].map((axis) => millimetres(axis, state.at[axis])).join(", ")}.`;
    }, 250);
  }

  function redraw() {
    if (redraw.asked) return;
    redraw.asked = true;
    requestAnimationFrame(() => { redraw.asked = false; show(); });
  }

  function moveTo(axis, index) {
    state.at[axis] = Math.min(Math.max(Math.round(index), 0), size[axis] - 1);
    redraw();
  }

  function fit() {
    const area = byId("planes");
    const extent = (axis) => size[axis] * step[axis];
    const gaps = 2 * parseFloat(getComputedStyle(area).columnGap || 0);
    const beside = (area.clientWidth - gaps) / (2 * extent(0) + extent(1));
    const narrow = area.clientWidth < 640;
    const tallest = Math.max(extent(1), extent(2));
    const scale = Math.min(narrow ? area.clientWidth / Math.max(extent(0), extent(1)) : beside, Math.max(320, 0.72 * innerHeight) / tallest);
    if (!(scale > 0)) return;
    canvasPixels = Math.min(devicePixelRatio || 1, 2, MOST_PIXELS_PER_MM / scale);
    const pixelsPerMm = scale * canvasPixels;
    for (const { plane, canvas, figure } of figures) {
      canvas.width = Math.max(1, Math.round(extent(plane.right) * pixelsPerMm));
      canvas.height = Math.max(1, Math.round(extent(plane.down) * pixelsPerMm));
      figure.style.width = `${extent(plane.right) * scale}px`;
    }
    show();
  }

  // Paper has room for both states, so it shows both, at the present position.
  function drawForPrint() {
    const area = byId("print-planes");
    const mode = chosen("mode");
    area.replaceChildren();
    for (const key of new Set(["before", afterKey()])) {
      const title = document.createElement("p");
      title.textContent = `${nameOf(key)} (${mode})`;
      const row = document.createElement("div");
      for (const { plane, canvas } of figures) {
        const copy = document.createElement("canvas");
        copy.width = canvas.width;
        copy.height = canvas.height;
        copy.style.flexGrow = canvas.width;
        draw(copy, plane, key, mode);
        row.append(copy);
      }
      area.append(title, row);
    }
    const place = document.createElement("p");
    place.textContent = `Position ${[0, 1, 2].map((axis) => millimetres(axis, state.at[axis])).join(", ")}. ${LEGENDS[mode]}`;
    area.append(place);
  }

  function setWindow(role, level, width) {
    windows[role] = { level, width };
    const box = root.querySelector(`[data-window=${role}]`);
    for (const part of ["level", "width"]) {
      const slider = box.querySelector(`[data-part=${part}]`);
      slider.value = windows[role][part];
      slider.nextElementSibling.textContent = Number(windows[role][part].toPrecision(3)).toString();
    }
  }

  function prepareWindow(role) {
    const values = geometry[role].values;
    const [low, high] = [values[0], values[255]];
    const box = root.querySelector(`[data-window=${role}]`);
    for (const slider of box.querySelectorAll("input")) {
      const range = high - low;
      slider.min = slider.dataset.part === "level" ? low : range / 500;
      slider.max = slider.dataset.part === "level" ? high : 1.5 * range;
      slider.step = range / 500;
      slider.addEventListener("input", () => {
        setWindow(role, Number(box.querySelector("[data-part=level]").value), Number(box.querySelector("[data-part=width]").value));
        redraw();
      });
    }
    resetWindow(role);
  }

  function resetWindow(role) {
    const [low, high] = geometry[role].window;
    setWindow(role, (low + high) / 2, high - low);
  }

  function pointerIndex(event, { plane, canvas }) {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    moveTo(plane.right, x * size[plane.right] - 0.5);
    moveTo(plane.down, (plane.flip ? 1 - y : y) * size[plane.down] - 0.5);
  }

  function planeKey(event, { plane }) {
    const down = plane.flip ? -1 : 1;
    const moves = {
      ArrowLeft: [plane.right, -1], ArrowRight: [plane.right, 1],
      ArrowUp: [plane.down, -down], ArrowDown: [plane.down, down],
      PageUp: [plane.normal, 1], PageDown: [plane.normal, -1],
    };
    if (event.key === "Home") {
      state.at = [...middle];
      redraw();
    } else if (event.key in moves) {
      const [axis, by] = moves[event.key];
      moveTo(axis, state.at[axis] + by);
    } else {
      return;
    }
    event.preventDefault();
  }

  function letterKey(event) {
    if (!byId("keys-on").checked || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches("input[type=text], textarea, select")) return;
    if (event.key === "b" || event.key === "B") choose("state", chosen("state") === "before" ? "after" : "before");
    else if (event.key === "l" || event.key === "L") state.cross = byId("cross").checked = !state.cross;
    else if (MODES[Number(event.key) - 1]) choose("mode", MODES[Number(event.key) - 1]);
    else return;
    redraw();
  }

  geometry.methods.forEach((name, index) => byId("method").add(new Option(name, index)));
  if (!geometry.methods.length) {
    choose("state", "before");
    for (const input of root.querySelectorAll("input[name=state]")) input.disabled = true;
    byId("method").disabled = true;
  }
  for (const item of figures) {
    const { canvas, plane, slider } = item;
    slider.max = size[plane.normal] - 1;
    slider.addEventListener("input", () => moveTo(plane.normal, Number(slider.value)));
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); pointerIndex(event, item); });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) pointerIndex(event, item); });
    canvas.addEventListener("keydown", (event) => planeKey(event, item));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      moveTo(plane.normal, state.at[plane.normal] - Math.sign(event.deltaY));
    }, { passive: false });
  }
  for (const control of root.querySelectorAll("input[type=radio], #fade, #square, #edges, #normalise")) control.addEventListener("input", redraw);
  byId("method").addEventListener("input", () => { choose("state", "after"); redraw(); });
  byId("cross").addEventListener("input", () => { state.cross = byId("cross").checked; redraw(); });
  byId("reset").addEventListener("click", () => {
    state.at = [...middle];
    ["fixed", "moving"].forEach(resetWindow);
    redraw();
  });
  for (const button of document.querySelectorAll("button.show")) {
    button.addEventListener("click", () => {
      button.dataset.ras.split(" ").forEach((value, axis) => moveTo(axis, (Number(value) - geometry.origin_ras[axis]) / geometry.step_ras[axis]));
      byId("pictures").scrollIntoView();
      figures[0].canvas.focus({ preventScroll: true });
    });
  }
  for (const input of root.querySelectorAll("input[name=state]:not(:disabled)")) {
    const point = (at) => { state.pointedAt = at; redraw(); };
    input.parentElement.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") point(input.value); });
    input.parentElement.addEventListener("pointerleave", () => point(null));
  }
  document.addEventListener("keydown", letterKey);
  addEventListener("beforeprint", drawForPrint);
  root.hidden = false;
  ["fixed", "moving"].forEach(prepareWindow);
  new ResizeObserver(fit).observe(byId("planes"));
  fit();
}

async function startViewer() {
  const geometry = JSON.parse(document.getElementById("viewer-data").textContent);
  const volumes = {};
  try {
    for (const image of document.querySelectorAll("img[id^=sprite-]")) {
      volumes[image.id.slice("sprite-".length)] = await decodeVolume(image, geometry);
      image.remove();
    }
    makeViewer(geometry, volumes);
    document.documentElement.dataset.viewer = "ready";
  } catch (error) {
    const problem = document.getElementById("viewer-problem");
    problem.textContent = `The pictures cannot be shown: ${error.message}`;
    problem.hidden = false;
    throw error;
  }
}

// Nothing is folded on paper.
function printUnfolded() {
  const folded = [...document.querySelectorAll("details.folded:not([open])")];
  for (const part of folded) part.open = true;
  addEventListener("afterprint", () => { for (const part of folded) part.open = false; }, { once: true });
}

// A link to a folded section opens it.
function openLinked() {
  const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details.folded");
  if (part) part.open = true;
}

addEventListener("beforeprint", printUnfolded);
addEventListener("hashchange", openLinked);
openLinked();
startViewer();
