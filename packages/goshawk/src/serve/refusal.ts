// Why a request is not answered by detections: a status of HTTP, a name for programs, and a line for a person.

export type RefusalCode =
  | 'bad-request'
  | 'bad-parameter'
  | 'token-missing'
  | 'host-refused'
  | 'not-found'
  | 'method-not-allowed'
  | 'not-acceptable'
  | 'arrival-timeout'
  | 'too-large'
  | 'too-many-pixels'
  | 'too-many-pictures'
  | 'unsupported-picture'
  | 'damaged-picture'
  | 'headers-too-large'
  | 'busy'
  | 'failed'
  | 'not-ready'
  | 'deadline';

/** Plain data, as it passes from one thread to another. */
export interface RefusalFacts {
  readonly status: number;
  readonly code: RefusalCode;
  /** `where: what (expected, got): what to do`, on one line. */
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly facts: RefusalFacts;

  constructor(facts: RefusalFacts) {
    super(facts.message);
    this.facts = facts;
  }
}

export function refusalBody({ code, message }: Pick<RefusalFacts, 'code' | 'message'>): string {
  return `${JSON.stringify({ error: { code, message: onOneLine(message) } })}\n`;
}

/** A name from outside may hold anything. */
function onOneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ');
}
