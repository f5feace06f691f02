// JSON's numbers from bytes: the double that JSON.parse gives, to the last bit.

/** 10 ** 0 to 10 ** 22 are doubles. */
const mostPower = 22;
const powers = Float64Array.from({ length: mostPower + 1 }, (_, exponent) => Number(`1e${exponent}`));
// Halves of 26 bits each: products of two such are exact (T. J. Dekker, A floating-point technique for extending the available precision, 1971).
const splitter = 2 ** 27 + 1;
const powersHigh = powers.map((power) => splitter * power - (splitter * power - power));
const powersLow = powers.map((power, exponent) => power - powersHigh[exponent]!);

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const longestText = 400;

/**
 * The number that starts at `at`; NaN where none does, or one too long for here.
 * @param end where the number ends, afterwards
 */
export function readDecimal(bytes: Uint8Array, start: number, end: { at: number }): number {
  let at = start;
  const isNegative = bytes[at] === MINUS;
  if (isNegative) at++;
  // The significant digits are head * 10 ** tailDigits + tail.
  let head = 0;
  let tail = 0;
  let digits = 0;
  // Of a byte, its digit: above 9 for all others.
  let digit = bytes[at]! ^ 0x30;
  if (digit === 0) digit = bytes[++at]! ^ 0x30;
  else {
    if (digit > 9) return Number.NaN;
    for (; digit <= 9; digit = bytes[++at]! ^ 0x30) {
      if (digits < 9) head = head * 10 + digit;
      else if (digits < 18) tail = tail * 10 + digit;
      digits++;
    }
  }
  // A digit behind a leading zero is left to whoever wants a comma there.
  let scale = 0;
  if (bytes[at] === POINT) {
    const first = ++at;
    digit = bytes[at]! ^ 0x30;
    if (digits === 0) while (digit === 0) digit = bytes[++at]! ^ 0x30;
    for (; digit <= 9; digit = bytes[++at]! ^ 0x30) {
      if (digits < 9) head = head * 10 + digit;
      else if (digits < 18) tail = tail * 10 + digit;
      digits++;
    }
    if (at === first) return Number.NaN;
    scale = first - at;
  }
  if ((bytes[at]! | 0x20) === 0x65) {
    at++;
    const sign = bytes[at];
    if (sign === MINUS || sign === PLUS) at++;
    const first = at;
    let exponent = 0;
    for (digit = bytes[at]! ^ 0x30; digit <= 9; digit = bytes[++at]! ^ 0x30)
      if (exponent < 10000) exponent = exponent * 10 + digit;
    if (at === first) return Number.NaN;
    scale += sign === MINUS ? -exponent : exponent;
  }
  end.at = at;
  const magnitude = magnitudeOf(head, tail, digits, scale);
  if (Number.isNaN(magnitude)) return numberOf(bytes, start, at);
  return isNegative ? -magnitude : magnitude;
}

/** The nearest double, or NaN where this cannot tell. */
function magnitudeOf(head: number, tail: number, digits: number, scale: number): number {
  if (digits > 18 || scale < -mostPower || scale > mostPower) return digits === 0 ? 0 : Number.NaN;
  // Both terms are exact, so that their sum is rounded once.
  const high = digits > 9 ? head * powers[digits - 9]! : head;
  const sum = high + tail;
  if (scale === 0) return sum;
  // Up to 15 digits the operands are exact too (W. D. Clinger, How to read floating point numbers accurately, 1990).
  if (digits <= 15) return scale < 0 ? sum / powers[-scale]! : sum * powers[scale]!;
  return scale < 0 ? quotient(sum, tail - (sum - high), -scale) : Number.NaN;
}

/** (high + low) / 10 ** exponent rounded once, or NaN where it lies too near to the middle between two doubles. */
function quotient(high: number, low: number, exponent: number): number {
  const power = powers[exponent]!;
  const first = high / power;
  const product = first * power;
  const firstHigh = splitter * first - (splitter * first - first);
  const firstLow = first - firstHigh;
  const [powerHigh, powerLow] = [powersHigh[exponent]!, powersLow[exponent]!];
  const productError =
    firstHigh * powerHigh - product + firstHigh * powerLow + firstLow * powerHigh + firstLow * powerLow;
  // What the first quotient leaves, exact but for the last sum; so `first + rest` is right to some 100 bits.
  const rest = (high - product - productError + low) / power;
  const value = first + rest;
  const error = rest - (value - first);
  // Where even a larger error would not change it, the value is the nearest one.
  return value + error * (1 + 2 ** -20) === value ? value : Number.NaN;
}

function numberOf(bytes: Uint8Array, from: number, to: number): number {
  return to - from > longestText ? Number.NaN : Number(String.fromCharCode(...bytes.subarray(from, to)));
}
