// What Python takes for true in a condition: programs ask a config's values so, whatever they are.
import type { PythonLiteral } from './python-literal.js';

/** A text is true unless it is empty, `False` in quotes too. */
export function truth(value: PythonLiteral): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return Boolean(value);
}
