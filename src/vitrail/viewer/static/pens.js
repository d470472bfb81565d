/**
 * Two pens with one hand: what a drawing paints goes to a canvas, or is written as SVG.
 * @module
 */

/** @typedef {import("vitrail/types.js").Pen} Pen */

export const SANS = "ui-sans-serif, system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
export const MONO = "ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', monospace";

/**
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @returns {Pen}
 */
export function canvasPen(context) {
  return {
    line(x1, y1, x2, y2, colour, width = 1, alpha = 1) {
      stroke(context, colour, width, alpha, () => {
        context.moveTo(x1, y1);
        context.lineTo(x2, y2);
      });
    },
    curve(points, colour, width = 1, alpha = 1) {
      stroke(context, colour, width, alpha, () => {
        context.moveTo(points[0], points[1]);
        context.bezierCurveTo(points[2], points[3], points[4], points[5], points[6], points[7]);
      });
    },
    rect(x, y, width, height, colour, alpha = 1) {
      context.globalAlpha = alpha;
      context.fillStyle = colour;
      context.fillRect(x, y, width, height);
      context.globalAlpha = 1;
    },
    disc(x, y, radius, colour) {
      context.fillStyle = colour;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
    },
    frame(x, y, width, height, colour, line = 1) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.strokeRect(x, y, width, height);
    },
    text(text, x, y, { size, colour, align = "left", mono = false, weight = 400, turn = 0 }) {
      context.font = `${weight} ${size}px ${mono ? MONO : SANS}`;
      context.fillStyle = colour;
      context.textAlign = align;
      context.textBaseline = "middle";
      if (!turn) {
        context.fillText(text, x, y);
        return;
      }
      context.save();
      context.translate(x, y);
      context.rotate((turn * Math.PI) / 180);
      context.fillText(text, 0, 0);
      context.restore();
    },
    image: (image, x, y, width, height) => {
      context.imageSmoothingEnabled = false;
      context.drawImage(image, x, y, width, height);
    },
  };
}

/** @param {CanvasRenderingContext2D} context @param {string} colour @param {number} width @param {number} alpha @param {() => void} path */
function stroke(context, colour, width, alpha, path) {
  context.globalAlpha = alpha;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  path();
  context.stroke();
  context.globalAlpha = 1;
}

/**
 * A pen that writes SVG; `svg(width, height, paper)` is the whole picture.
 * @returns {Pen & {svg: (width: number, height: number, paper: string) => string}}
 */
export function svgPen() {
  /** @type {string[]} */
  const parts = [];
  /** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [inside] */
  const put = (tag, attributes, inside) => {
    const written = Object.entries(attributes).map(([name, value]) => `${name}="${escapeXml(rounded(value))}"`);
    parts.push(`<${tag} ${written.join(" ")}${inside === undefined ? "/>" : `>${escapeXml(inside)}</${tag}>`}`);
  };
  return {
    line: (x1, y1, x2, y2, colour, width = 1, alpha = 1) =>
      put("line", { x1, y1, x2, y2, stroke: colour, "stroke-width": width, "stroke-opacity": alpha }),
    curve: (points, colour, width = 1, alpha = 1) => {
      const [x, y, ...rest] = points.map(rounded);
      put("path", { d: `M${x} ${y}C${rest.join(" ")}`, fill: "none", stroke: colour, "stroke-width": width, "stroke-opacity": alpha });
    },
    rect: (x, y, width, height, colour, alpha = 1) => put("rect", { x, y, width, height, fill: colour, "fill-opacity": alpha }),
    disc: (x, y, radius, colour) => put("circle", { cx: x, cy: y, r: radius, fill: colour }),
    frame: (x, y, width, height, colour, line = 1) =>
      put("rect", { x, y, width, height, fill: "none", stroke: colour, "stroke-width": line }),
    text: (text, x, y, { size, colour, align = "left", mono = false, weight = 400, turn = 0 }) =>
      put(
        "text",
        {
          x,
          y,
          fill: colour,
          "font-size": size,
          "font-family": mono ? MONO : SANS,
          "font-weight": weight,
          "text-anchor": { left: "start", right: "end", center: "middle" }[align],
          "dominant-baseline": "central",
          "xml:space": "preserve",
          ...(turn ? { transform: `rotate(${turn} ${rounded(x)} ${rounded(y)})` } : {}),
        },
        text,
      ),
    image: (image, x, y, width, height) => {
      const copy = document.createElement("canvas");
      copy.width = /** @type {HTMLCanvasElement} */ (image).width;
      copy.height = /** @type {HTMLCanvasElement} */ (image).height;
      /** @type {CanvasRenderingContext2D} */ (copy.getContext("2d")).drawImage(image, 0, 0);
      put("image", { x, y, width, height, href: copy.toDataURL("image/png"), style: "image-rendering: pixelated" });
    },
    svg: (width, height, paper) =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">` +
      `<rect width="100%" height="100%" fill="${escapeXml(paper)}"/>${parts.join("\n")}</svg>\n`,
  };
}

/** @param {string | number} value */
function rounded(value) {
  return typeof value === "number" ? String(Math.round(value * 100) / 100) : value;
}

/** @param {string} text */
function escapeXml(text) {
  // Control characters may not stand in XML, not even escaped.
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
