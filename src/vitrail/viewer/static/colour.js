/**
 * Colours: one hue by lightness for what is positive, blue and orange for what has a sign, one accent for the selection.
 *
 * Values go by the square root, so that a tenth of the largest is still seen; legends say so. The ramps are straight lines
 * in OKLCH (Ottosson 2020), where equal steps look equal, and keep apart for all common kinds of colour blindness.
 * @module
 */

/** @typedef {[number, number, number]} Triple */

/**
 * OKLCH to sRGB, 0-255.
 * @param {number} lightness 0-1
 * @param {number} chroma
 * @param {number} hue in degrees
 * @returns {Triple}
 */
export function oklch(lightness, chroma, hue) {
  const angle = (hue * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(angle), chroma * Math.sin(angle)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    gamma(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/** @param {number} linear */
function gamma(linear) {
  const clipped = Math.min(1, Math.max(0, linear));
  return Math.round(255 * (clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055));
}

/** Lightness and chroma at 0 and at the largest, by theme. */
const ENDS = {
  light: { from: [0.985, 0.004], to: [0.4, 0.15], hue: 262, below: 255, above: 50 },
  dark: { from: [0.235, 0.012], to: [0.87, 0.13], hue: 235, below: 245, above: 62 },
};
const STEPS = 256;

/**
 * The ramps and inks of a theme.
 * @param {"light" | "dark"} theme
 * @returns {import("vitrail/types.js").Ramp}
 */
export function ramp(theme) {
  const { from, to, hue, below, above } = ENDS[theme];
  /** @param {number} turned */
  const steps = (turned) =>
    Array.from({ length: STEPS }, (_, step) => {
      const at = step / (STEPS - 1);
      return oklch(from[0] + at * (to[0] - from[0]), from[1] + at * (to[1] - from[1]), turned);
    });
  const [up, negative, positive] = [steps(hue), steps(below), steps(above)];
  /** @type {(value: number, largest: number, signed: boolean) => Triple} */
  const rgb = (value, largest, signed) => {
    const share = largest > 0 ? Math.min(1, Math.sqrt(Math.abs(value) / largest)) : 0;
    const step = Math.round((STEPS - 1) * (Number.isNaN(share) ? 0 : share));
    return (signed ? (value < 0 ? negative : positive) : up)[step];
  };
  const dark = theme === "dark";
  return {
    rgb,
    sequential: (value, largest) => css(rgb(value, largest, false)),
    signed: (value, largest) => css(rgb(value, largest, true)),
    ink: dark ? "#e9e9ee" : "#1c1d22",
    quiet: dark ? "#a4a6b2" : "#5d606c",
    faint: dark ? "#3a3c46" : "#d9dae1",
    paper: dark ? "#16171c" : "#fdfdfc",
    accent: dark ? "#ff8f6b" : "#d1440c",
  };
}

/** @param {Triple} triple */
export function css(triple) {
  return `rgb(${triple.join(",")})`;
}

/**
 * Colours of several heads at once: hues as far apart as they go, in an order that keeps neighbours apart.
 * @param {number} count
 * @param {"light" | "dark"} theme
 * @returns {string[]}
 */
export function headColours(count, theme) {
  // Golden angle: any first few hues are far apart, however many follow; two lightnesses keep colour-blind readers in.
  return Array.from({ length: count }, (_, at) => {
    const lightness = theme === "dark" ? (at % 2 ? 0.66 : 0.8) : at % 2 ? 0.44 : 0.6;
    return css(oklch(lightness, 0.14, (262 + at * 137.508) % 360));
  });
}
