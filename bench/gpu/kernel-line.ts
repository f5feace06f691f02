// What kernel-check.ts says to the program that started it.

/** Of one case: how far the device is from the CPU, and what is wrong. */
export interface KernelLine {
  readonly operator: string;
  readonly name: string;
  readonly worst: number | null;
  readonly problem?: string;
}

/** The exit code that says that the card answers nothing any more. */
export const CARD_FAILED_CODE = 3;
