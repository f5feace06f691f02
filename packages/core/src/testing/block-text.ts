// Text without a font: each letter is a block, so that what surrounds it can be tested anywhere.
import type { TextRenderer } from '../drawing/text-renderer.js';

export const blockText: TextRenderer = {
  width: (text, sizePx) => Math.ceil([...text].length * sizePx * 0.6),
  line(text, sizePx) {
    const width = Math.max(1, this.width(text, sizePx));
    const height = Math.ceil(sizePx * 1.3);
    const letters = [...text];
    const coverage = new Uint8Array(width * height);
    for (let x = 0; x < width; x++) {
      const share = (x / (sizePx * 0.6)) % 1;
      if (letters[Math.floor(x / (sizePx * 0.6))] === ' ' || share > 0.8) continue;
      for (let y = Math.ceil(sizePx * 0.3); y < Math.ceil(sizePx); y++) coverage[y * width + x] = 255;
    }
    return { coverage, width, height };
  },
};
