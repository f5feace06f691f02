// Options that several commands have.
import { Option } from 'commander';

export function setOption(): Option {
  return new Option(
    '--set <key=value>',
    "change one value of the config, as in train.batchSize=4 or, for Detectron's and maskrcnn-benchmark's files, TEST.NMS 0.4; may be given more than once",
  ).argParser((text: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), text]);
}

export function devicesOption(): Option {
  return new Option(
    '--devices <list>',
    'work in several processes, one a device: cpu:2, cuda (every card), cuda:0,1 (default: in this one, on runtime.device)',
  );
}

export function timeoutOption(): Option {
  return new Option(
    '--timeout <seconds>',
    'of several processes: end all when one does nothing for so long, or cannot be reached (default: 300)',
  );
}
