// The goshawk command: runs what is asked for and turns what goes wrong into one line and an exit code.
import { CommanderError } from 'commander';
import { rankLink } from '../processes/rank-link.js';
import { splitLaunchWords } from './launch-words.js';
import { joinNumberPairs } from './number-pair-words.js';
import { buildProgram } from './program.js';
import { blamesOf, isConsequence, reportFailure } from './report-failure.js';
import { joinSetWords } from './set-words.js';

// `goshawk data stats FILE | head`: a reader that has seen enough is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
process.on('uncaughtException', end);

try {
  await buildProgram().parseAsync(joinNumberPairs(joinSetWords(splitLaunchWords(process.argv))));
} catch (error) {
  // Help ends this way too: asked for with 0, and shown for a command that lacks its second word with another code.
  if (error instanceof CommanderError && error.code === 'commander.help') process.exitCode = 2;
  else if (!(error instanceof CommanderError && error.exitCode === 0)) end(error);
}

function end(error: unknown): void {
  const debug = process.argv.includes('--debug');
  const { message, exitCode } = reportFailure(error, { debug });
  const link = rankLink();
  if (link !== undefined) {
    // The supervisor tells it, once for all ranks.
    const text = message.replace(/^goshawk: /, '');
    const blames = blamesOf(error);
    // Who blames itself met nobody else's failure.
    const isOwn = blames.includes(Number(process.env.RANK));
    const failure = { message: text, exitCode, isConsequence: isConsequence(error) && !isOwn, blames };
    void link.fail(failure).then(() => process.exit(exitCode));
    return;
  }
  process.stderr.write(`${message}\n`);
  // Workers that are still at work must not keep a failed command alive.
  process.exit(exitCode);
}
