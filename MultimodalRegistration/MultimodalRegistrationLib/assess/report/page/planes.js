"use strict";
// Planes through volumes of 8-bit codes. The axes I, J, K of the grid run to the patient's left, back and head.

// Codes of intensities begin at 40; compression may lift the 0 of what lies outside a little.
const OUTSIDE_BELOW = 20;

const PLANES = {
  axial: { right: 0, down: 1, normal: 2, flip: false, letters: "RLAP" },
  coronal: { right: 0, down: 2, normal: 1, flip: true, letters: "RLSI" },
  sagittal: { right: 1, down: 2, normal: 0, flip: true, letters: "APSI" },
};

// Codes of all voxels, from the picture in which the axial planes lie side by side.
async function decodeVolume(image, geometry) {
  await image.decode();
  const [ni, nj, nk] = geometry.size;
  const [width, height] = geometry.tile;
  const canvas = document.createElement("canvas");
  canvas.width = width * geometry.columns;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const codes = new Uint8Array(ni * nj * nk);
  for (let k = 0; k < nk; k += 1) {
    const column = k % geometry.columns;
    if (column === 0) context.drawImage(image, 0, (-k / geometry.columns) * height);
    const pixels = context.getImageData(column * width, 0, ni, nj).data;
    for (let n = 0, to = k * ni * nj; n < ni * nj; n += 1, to += 1) codes[to] = pixels[4 * n];
  }
  return codes;
}

// For each of `count` pixels along an axis of `n` voxels: the voxel before it and the share of the next one.
function samples(count, n, flip) {
  const index = new Int32Array(count);
  const share = new Float32Array(count);
  for (let p = 0; p < count; p += 1) {
    const along = ((flip ? count - 1 - p : p) + 0.5) / count * n - 0.5;
    const low = Math.min(Math.max(Math.floor(along), 0), Math.max(n - 2, 0));
    index[p] = low;
    share[p] = n < 2 ? 0 : Math.min(Math.max(along - low, 0), 1);
  }
  return { index, share };
}

// Codes of a plane, interpolated; outside the volume 0.
function cutPlane(codes, size, plane, position, width, height) {
  const strides = [1, size[0], size[0] * size[1]];
  const across = samples(width, size[plane.right], false);
  const along = samples(height, size[plane.down], plane.flip);
  const dx = size[plane.right] > 1 ? strides[plane.right] : 0;
  const dy = size[plane.down] > 1 ? strides[plane.down] : 0;
  const base = position * strides[plane.normal];
  const cut = new Uint8Array(width * height);
  for (let y = 0, to = 0; y < height; y += 1) {
    const row = base + along.index[y] * dy;
    const v = along.share[y];
    for (let x = 0; x < width; x += 1, to += 1) {
      const from = row + across.index[x] * dx;
      const u = across.share[x];
      const a = codes[from], b = codes[from + dx], c = codes[from + dy], d = codes[from + dx + dy];
      const nearest = v < 0.5 ? (u < 0.5 ? a : b) : (u < 0.5 ? c : d);
      if (nearest < OUTSIDE_BELOW) continue;
      // At the border of the field of view there is nothing to interpolate to.
      const whole = a >= OUTSIDE_BELOW && b >= OUTSIDE_BELOW && c >= OUTSIDE_BELOW && d >= OUTSIDE_BELOW;
      const top = a + (b - a) * u, bottom = c + (d - c) * u;
      cut[to] = whole ? top + (bottom - top) * v + 0.5 : nearest;
    }
  }
  return cut;
}

// Grey value, 0 to 255, of each code within a window of intensities.
function windowTable(values, level, width) {
  const low = level - width / 2;
  return Float32Array.from(values, (value, code) =>
    code < OUTSIDE_BELOW ? 0 : 255 * Math.min(Math.max((value - low) / width, 0), 1));
}

// Share of the volume's voxels, times 255, that are darker than each code.
function rankTable(codes) {
  const counts = new Float64Array(256);
  for (let n = 0; n < codes.length; n += 1) counts[codes[n]] += 1;
  const table = new Float32Array(256);
  let total = 0;
  for (let code = OUTSIDE_BELOW; code < 256; code += 1) total += counts[code];
  for (let code = OUTSIDE_BELOW, below = 0; code < 256; code += 1) {
    table[code] = total ? 255 * (below + counts[code] / 2) / total : 0;
    below += counts[code];
  }
  return table;
}

// The picture of a plane: RGBA of `fixed` and `moving` codes in one of the modes.
function composePlane(mode, fixed, moving, tables, options, width, height) {
  const out = new Uint8ClampedArray(4 * width * height);
  const edges = mode === "edges" ? findEdges(moving, tables.moving, width, height, options.edges) : null;
  for (let y = 0, n = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, n += 1) {
      const f = tables.fixed[fixed[n]], m = tables.moving[moving[n]];
      let r = f, g = f, b = f;
      if (mode === "colour") {
        r = b = m;
      } else if (mode === "fade") {
        r = g = b = f + (m - f) * options.fade;
      } else if (mode === "checkerboard") {
        if ((Math.floor(x / options.square) + Math.floor(y / options.square)) % 2) r = g = b = m;
      } else if (mode === "edges") {
        if (edges[n] === 2) { r = 255; g = 176; b = 0; }
      } else if (fixed[n] < OUTSIDE_BELOW || moving[n] < OUTSIDE_BELOW) {
        r = g = b = 40;
      } else {
        const difference = tables.movingCompared[moving[n]] - tables.fixedCompared[fixed[n]];
        // Where both look black there is only noise to compare.
        const strength = Math.min(255, 1.6 * Math.abs(difference) * Math.min(1, Math.max(f, m) / 40));
        [r, g, b] = difference > 0 ? [strength, 0.65 * strength, 0] : [0.25 * strength, 0.6 * strength, strength];
      }
      out[4 * n] = r; out[4 * n + 1] = g; out[4 * n + 2] = b; out[4 * n + 3] = 255;
    }
  }
  return new ImageData(out, width, height);
}
