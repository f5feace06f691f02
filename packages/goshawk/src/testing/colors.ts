// Contrast of colours as a page's styles give them: `rgb(1, 2, 3)`.

/** Relative luminance by WCAG 2.1, 0 to 1. */
export function luminance(color: string): number {
  const [red, green, blue] = color.match(/\d+/g)!.map((value) => {
    const share = Number(value) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

/** By WCAG 2.1, 1 to 21. */
export function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}
