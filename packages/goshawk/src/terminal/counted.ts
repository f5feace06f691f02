// Numbers of things in messages.

/** Such as "1 step", "3 steps" and "2 classes". */
export function counted(count: number, word: string, several = `${word}s`): string {
  return `${count} ${count === 1 ? word : several}`;
}
