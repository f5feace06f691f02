// The goshawk command: runs what is asked for and turns what goes wrong into one line and an exit code.
import { CommanderError } from 'commander';
import { buildProgram } from './program.js';
import { reportFailure } from './report-failure.js';

// `goshawk data stats FILE | head`: a reader that has seen enough is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
process.on('uncaughtException', end);

try {
  await buildProgram().parseAsync(process.argv);
} catch (error) {
  // --help and --version end this way too.
  if (error instanceof CommanderError && error.exitCode === 0) process.exitCode = 0;
  else end(error);
}

function end(error: unknown): void {
  const { message, exitCode } = reportFailure(error, { debug: process.argv.includes('--debug') });
  process.stderr.write(`${message}\n`);
  // Workers that are still at work must not keep a failed command alive.
  process.exit(exitCode);
}
