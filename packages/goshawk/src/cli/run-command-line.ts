// The words after `goshawk`, from whoever has them: the program, or a test that needs no process of its own.
import { CommanderError } from 'commander';
import { splitLaunchWords } from './launch-words.js';
import { joinNumberPairs } from './number-pair-words.js';
import { buildProgram } from './program.js';
import { joinSetWords } from './set-words.js';

/**
 * Runs the command that the words name; it sets the exit code where it is neither 0 nor that of an error.
 * @throws what the command throws, and CommanderError for wrong usage
 */
export async function runCommandLine(words: readonly string[]): Promise<void> {
  try {
    await buildProgram().parseAsync(joinNumberPairs(joinSetWords(splitLaunchWords(words))), { from: 'user' });
  } catch (error) {
    // Help ends this way too: asked for with 0, and shown for a command that lacks its second word with another code.
    if (error instanceof CommanderError && error.code === 'commander.help') process.exitCode = 2;
    else if (!(error instanceof CommanderError && error.exitCode === 0)) throw error;
  }
}
