// Text without a font: each letter is as wide as the next, so that places of labels can be computed by hand.
import type { TextMeasure } from '../drawing/text-measure.js';

export const blockText: TextMeasure = (text, sizePx) => Math.ceil([...text].length * sizePx * 0.6);
