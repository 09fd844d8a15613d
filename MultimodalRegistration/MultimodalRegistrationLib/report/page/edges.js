// Edges of a plane after Canny (1986, doi:10.1109/TPAMI.1986.4767851): maxima of the gradient of the smoothed plane
// that are strong, or that touch strong ones.

const EDGE_SIGMA_PX = 2;

function smoothed(values, width, height) {
  const radius = Math.ceil(2.5 * EDGE_SIGMA_PX);
  const kernel = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * EDGE_SIGMA_PX ** 2)));
  const sum = kernel.reduce((a, b) => a + b);
  const pass = (from, step, count, across, others) => {
    const to = new Float32Array(from.length);
    for (let o = 0; o < others; o += 1) {
      for (let p = 0; p < count; p += 1) {
        let total = 0;
        for (let i = -radius; i <= radius; i += 1) {
          const q = Math.min(Math.max(p + i, 0), count - 1);
          total += kernel[i + radius] * from[o * across + q * step];
        }
        to[o * across + p * step] = total / sum;
      }
    }
    return to;
  };
  return pass(pass(values, 1, width, width, height), width, height, 1, width);
}

// One for every pixel on an edge; `amount` from 0, few, to 1, many.
function findEdges(codes, table, width, height, amount) {
  const plane = smoothed(Float32Array.from(codes, (code) => table[code]), width, height);
  const strength = new Float32Array(plane.length);
  const marks = new Uint8Array(plane.length);
  // The border of the field of view is no edge of the patient.
  const reach = 3 * EDGE_SIGMA_PX;
  const around = [-reach, -2, 2, reach].flatMap((d) => [d, d * width, d * (width + 1), d * (width - 1)]);
  const inside = (n) => around.every((d) => codes[n + d] === undefined || codes[n + d] >= OUTSIDE_BELOW);
  const slopes = (n) => [(plane[n + 1] - plane[n - 1]) / 2, (plane[n + width] - plane[n - width]) / 2];
  for (let y = 2; y < height - 2; y += 1) {
    for (let n = y * width + 2; n < y * width + width - 2; n += 1) {
      const [gx, gy] = slopes(n);
      strength[n] = inside(n) ? Math.hypot(gx, gy) : 0;
    }
  }
  const high = 14 * (1 - amount) ** 2 + 1.5, low = 0.4 * high;
  const strong = [];
  for (let y = 2; y < height - 2; y += 1) {
    for (let n = y * width + 2; n < y * width + width - 2; n += 1) {
      if (strength[n] < low) continue;
      const [gx, gy] = slopes(n);
      const flat = Math.abs(gy) < 0.414 * Math.abs(gx), steep = Math.abs(gx) < 0.414 * Math.abs(gy);
      const step = flat ? 1 : steep ? width : gx * gy > 0 ? width + 1 : width - 1;
      if (strength[n] < strength[n - step] || strength[n] <= strength[n + step]) continue;
      marks[n] = 1;
      if (strength[n] >= high) { marks[n] = 2; strong.push(n); }
    }
  }
  while (strong.length) {
    const n = strong.pop();
    for (const step of [1, -1, width, -width, width + 1, width - 1, -width + 1, -width - 1]) {
      if (marks[n + step] === 1) { marks[n + step] = 2; strong.push(n + step); }
    }
  }
  return marks.map((mark) => (mark === 2 ? 1 : 0));
}
