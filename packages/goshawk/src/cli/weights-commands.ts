// goshawk weights: its commands with their options and examples.
import type { Command } from 'commander';
import { command, group } from './command-tree.js';

const cacheOption = [
  '--cache <folder>',
  'where the files are (default: GOSHAWK_WEIGHTS, else goshawk/weights below XDG_CACHE_HOME or ~/.cache)',
] as const;

export function addWeightsCommands(program: Command): void {
  const weights = group(program, 'weights', 'look at and convert checkpoints, and fetch published ones');

  command(weights, 'list', 'list the published weights that are known by name', 'goshawk weights list')
    .option(...cacheOption)
    .option('--json', 'print one JSON list')
    .action(async (options) => (await import('./weights-list.js')).runWeightsList(options));

  command(
    weights,
    'get',
    'fetch published weights; what was broken off goes on, and nothing gets its name unchecked',
    'goshawk weights get maskrcnn_resnet50_fpn_coco',
  )
    .argument('<name>', 'a name of weights list, or the address of a file called NAME-<digits of its SHA-256>.pth')
    .option(...cacheOption)
    .option(
      '--mirror <url>',
      "base address that has the files under their names (default: GOSHAWK_WEIGHTS_MIRROR, else torchvision's own)",
    )
    .action(async (name, options) => (await import('./weights-get.js')).runWeightsGet(name, options));

  command(weights, 'show', 'list the tensors of a checkpoint', 'goshawk weights show model.pth')
    .argument('<file>', 'safetensors, PyTorch .pth or .pkl')
    .option('--json', 'print one JSON object')
    .action(async (file, options) => (await import('./weights-show.js')).runWeightsShow(file, options));

  command(
    weights,
    'convert',
    'write the weights of a checkpoint in another format',
    'goshawk weights convert model.pth model.safetensors',
  )
    .argument('<file>', 'safetensors, PyTorch .pth or .pkl')
    .argument('<output>', 'file to write, ending in .safetensors or .pth')
    .action(async (file, output) => (await import('./weights-convert.js')).runWeightsConvert(file, output));
}
