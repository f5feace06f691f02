// Numbers as texts and XML files have them.

const decimal = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** The number that a text is, in decimal digits with a point; NaN for all else, also for what JavaScript takes for one (`0x10`, an empty text). */
export function decimalNumber(text: string): number {
  const value = decimal.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : Number.NaN;
}

/** What to do about a text where a number belongs, as the end of a message. */
export function numberRemedy(text: string, otherwise = 'correct it'): string {
  if (/^[-+]?\d+,\d+$/.test(text)) return `write a point for the comma, ${text.replace(',', '.')}`;
  return otherwise;
}
