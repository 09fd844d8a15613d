// Edges of a plane after Canny (1986, doi:10.1109/TPAMI.1986.4767851): maxima of the gradient of the smoothed plane
// that are strong, or that touch strong ones.

const EDGE_SIGMA_PX = 2;
const EDGE_MARGIN_PX = 4;

// Means along rows and then columns, weighted by a Gaussian.
function smoothed(values, width, height) {
  const radius = Math.ceil(2.5 * EDGE_SIGMA_PX);
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * EDGE_SIGMA_PX ** 2)));
  const sum = kernel.reduce((a, b) => a + b);
  const pass = (from, step, count, across, others) => {
    const to = new Float32Array(from.length);
    const padded = new Float32Array(count + 2 * radius);
    for (let o = 0; o < others; o += 1) {
      const start = o * across;
      for (let p = 0; p < padded.length; p += 1) {
        padded[p] = from[start + Math.min(Math.max(p - radius, 0), count - 1) * step];
      }
      for (let p = 0; p < count; p += 1) {
        let total = 0;
        for (let i = 0; i < kernel.length; i += 1) total += kernel[i] * padded[p + i];
        to[start + p * step] = total / sum;
      }
    }
    return to;
  };
  return pass(pass(values, 1, width, width, height), width, height, 1, width);
}

// What lies outside does not count, so that the border of the field of view is no edge.
function smoothedInside(codes, table, width, height) {
  const counts = new Float32Array(codes.length);
  const values = new Float32Array(codes.length);
  for (let n = 0; n < codes.length; n += 1) {
    if (codes[n] < OUTSIDE_BELOW) continue;
    counts[n] = 1;
    values[n] = table[codes[n]];
  }
  const plane = smoothed(values, width, height);
  const weights = smoothed(counts, width, height);
  for (let n = 0; n < plane.length; n += 1) plane[n] /= weights[n] + 1e-6;
  return plane;
}

// Two for every pixel on an edge; `amount` from 0, few, to 1, many.
function findEdges(codes, table, width, height, amount) {
  const plane = smoothedInside(codes, table, width, height);
  const strength = new Float32Array(plane.length);
  const marks = new Uint8Array(plane.length);
  const far = EDGE_MARGIN_PX;
  for (let y = far; y < height - far; y += 1) {
    for (let n = y * width + far; n < (y + 1) * width - far; n += 1) {
      const inside = codes[n - far] >= OUTSIDE_BELOW && codes[n + far] >= OUTSIDE_BELOW &&
        codes[n - far * width] >= OUTSIDE_BELOW && codes[n + far * width] >= OUTSIDE_BELOW;
      const gx = plane[n + 1] - plane[n - 1], gy = plane[n + width] - plane[n - width];
      if (inside) strength[n] = Math.sqrt(gx * gx + gy * gy) / 2;
    }
  }
  const high = 14 * (1 - amount) ** 2 + 1.5, low = 0.4 * high;
  const strong = [];
  for (let n = 0; n < plane.length; n += 1) {
    if (strength[n] < low) continue;
    const gx = plane[n + 1] - plane[n - 1], gy = plane[n + width] - plane[n - width];
    const flat = Math.abs(gy) < 0.414 * Math.abs(gx), steep = Math.abs(gx) < 0.414 * Math.abs(gy);
    const step = flat ? 1 : steep ? width : gx * gy > 0 ? width + 1 : width - 1;
    if (strength[n] < strength[n - step] || strength[n] <= strength[n + step]) continue;
    marks[n] = 1;
    if (strength[n] >= high) { marks[n] = 2; strong.push(n); }
  }
  const neighbours = [1, -1, width, -width, width + 1, width - 1, -width + 1, -width - 1];
  while (strong.length) {
    const n = strong.pop();
    for (const step of neighbours) {
      if (marks[n + step] === 1) { marks[n + step] = 2; strong.push(n + step); }
    }
  }
  return marks;
}
