// The tree of commands with their options and examples. What a command does is in its own file, which is loaded when
// the command runs: help needs none of them, and work on annotation files needs no engine.
import { readFileSync } from 'node:fs';
import { InputError } from '@goshawk/core';
import { Command, Option } from 'commander';
import { modelKinds, networkSizes } from '../starter/rules.js';
import { addRemedy, command } from './command-tree.js';
import { addDataCommands } from './data-commands.js';
import { addEvaluationOptions } from './evaluation-options.js';
import { devicesOption, setOption, timeoutOption } from './shared-options.js';
import { addWeightsCommands } from './weights-commands.js';

export function buildProgram(): Command {
  const program = new Command('goshawk')
    .description('Object detection, instance segmentation and keypoints: train, evaluate, predict.')
    .version(version(), '--version')
    .helpCommand(false)
    .exitOverride(addRemedy('goshawk'))
    // Errors are printed once, by main.
    .configureOutput({ outputError: () => {} })
    .showHelpAfterError(false);

  command(program, 'doctor', 'show the engine, versions, devices and threads, and what is missing', 'goshawk doctor')
    .option('--json', 'print one JSON object')
    .action(async (options) => (await import('./doctor.js')).runDoctor(options));

  command(
    program,
    'setup',
    'put the engine in place: find libtorch, or say how to get it, and compile the addon for it; takes a minute',
    'goshawk setup',
  )
    .argument('[libtorch]', "folder of a libtorch (default: what LIBTORCH names, else the system's)")
    .option('--install-libtorch', "install what is missing from Debian's packages with apt-get, where you may")
    .option('--install-ffmpeg', 'the same for ffmpeg, which videos need')
    .option('--quiet', 'say nothing where nothing is to do')
    .action(async (folder, options) => (await import('./setup.js')).runSetup(folder, options));

  command(
    program,
    'demo',
    'make scenes, train a small model on them, measure it and draw what it finds; takes minutes',
    ['goshawk demo --output demo-output', 'goshawk demo --browser'].join('\n  '),
  )
    .option('--output <folder>', 'where everything goes; an earlier demo there is replaced (default: demo-output)')
    .option('--browser', "serve a page that runs the demo's model in a browser; an earlier demo there is used")
    .option('--port <number>', 'of the page, on 127.0.0.1; 0 takes one that is free (default: 8470)')
    .action(async (options) => (await import('./demo.js')).runDemo(options));

  starterOptions(
    command(
      program,
      'train',
      'train a model: from a config, or from a folder of annotated photos, for which it makes one',
      [
        'goshawk train photos --output runs/photos',
        'goshawk train configs/torchvision/mask_rcnn_r50_fpn.yaml --output runs/first --set train.batchSize=4',
      ].join('\n  '),
    ),
  )
    .argument('<config or data>', 'config file; or a folder of photos with annotations, or an annotation file')
    .addOption(setOption())
    .option(
      '--output <folder>',
      'folder of the run: checkpoints, metrics, weights (default: runs/ and the name of the config or data)',
    )
    .option(
      '--init <file>',
      'weights to start from, of any supported format, or a name of weights list; with data also: random',
    )
    .option(
      '--resume',
      'continue from the newest checkpoint in the output folder, or from --init where maskrcnn-benchmark wrote it',
    )
    .option('--iterations <n>', 'end after so many steps, whatever length the config asks for')
    .option('--no-save', 'write nothing at all: no checkpoints, metrics or weights, to try something out')
    .addOption(devicesOption())
    .addOption(timeoutOption())
    .action(async (path, options) => {
      const { isAnnotations } = await import('../starter/find-annotations.js');
      const isData = isAnnotations(path);
      if (!isData) refuseStarterOptions(path, options);
      const made = isData ? await (await import('./train-data.js')).configForData(path, options) : undefined;
      const config = made?.config ?? path;
      await checkConfig(config, options);
      const { inRanks } = await import('./in-ranks.js');
      await inRanks(made?.options ?? options, 'training', async (own) =>
        (await import('./train.js')).runTrain(config, own),
      );
    });

  starterOptions(
    command(
      program,
      'init',
      'write a config for a folder of annotated photos: looks at them and at the machine, and says why',
      'goshawk init photos --output photos.yaml --minutes 60',
    ),
  )
    .argument('<data>', 'folder of photos with annotations, or an annotation file')
    .option('--output <file>', 'the config to write (default: the name of the data and .yaml)')
    .option('--init <file>', 'weights that the training is to start from: a file, a name of weights list, or random')
    .addOption(setOption())
    .action(async (data, options) => (await import('./init.js')).runInit(data, options));

  command(
    program,
    'eval',
    'measure a model on a data set of its config',
    'goshawk eval config.yaml --weights runs/first/best.safetensors',
  )
    .argument('<config>', 'config file, or the weights of goshawk train, which hold theirs')
    .option(
      '--weights <file>',
      'weights of a config, of any supported format, or the name of published ones (weights list)',
    )
    .addOption(setOption())
    .option('--split <name>', 'train, val or test', 'val')
    .option('--output <folder>', 'write metrics.json, detections.json and report.html there')
    .option('--json', 'print the figures as one JSON object')
    .option('--save-proposals <file>', 'for models of type rpn: keep the proposals, for data.*.proposals of others')
    .option(
      '--processes <count>',
      'detect in so many processes at once, with runtime.threads threads each (default: 1)',
    )
    .option('--range <first end>', 'first picture and the one behind the last: --range 0 100')
    .addOption(devicesOption())
    .addOption(timeoutOption())
    .action(async (config, options) => {
      await checkConfig(config, options);
      const { inRanks } = await import('./in-ranks.js');
      await inRanks(options, 'prediction', async (own) => (await import('./eval.js')).runEval(config, own));
    });

  command(
    program,
    'predict',
    'find objects in pictures and videos',
    'goshawk predict runs/first/best.safetensors --output found photos/ more.jpg clip.mp4',
  )
    .argument('<config>', 'config file, or the weights of goshawk train, which hold theirs')
    .argument('[path...]', 'pictures, videos, and folders of them')
    .option(
      '--weights <file>',
      'weights of a config, of any supported format, or the name of published ones (weights list)',
    )
    .addOption(setOption())
    .option('--output <folder>', 'where the detections and the drawn pictures and videos go (default: predictions)')
    .option(
      '--score-threshold <score>',
      'keep detections of at least this score (default: 0.5); best, or a metrics.json: of the best score of each class',
    )
    .option('--max-detections <count>', 'keep at most this many a picture (default: 100)')
    .option('--keypoint-threshold <logit>', 'draw keypoints that the model is at least so sure of (default: 2)')
    .option('--pdf', 'also write pictures.pdf, a page for each drawn picture')
    .option('--contact-sheet', 'also write contact-sheet.png, all drawn pictures small on one')
    .option('--camera <device>', 'also a camera, such as /dev/video0, until Ctrl-C or a limit')
    .option('--stream <url>', 'also a URL that ffmpeg reads (rtsp://..., or lavfi: and a filter graph), until its end')
    .option('--max-frames <count>', 'leave a video after so many frames')
    .option('--seconds <time>', 'leave a video after so many seconds of it')
    .option('--batch-size <count>', 'frames of a video that the network takes at once (default: 1, on a card 8)')
    .addOption(devicesOption())
    .addOption(timeoutOption())
    .action(async (config, paths, options) => {
      await checkConfig(config, options);
      const { inRanks } = await import('./in-ranks.js');
      await inRanks(options, 'prediction', async (own) =>
        (await import('./predict.js')).runPredict(config, paths, own),
      );
    });

  command(
    program,
    'export',
    'write a detector as an ONNX file, for @goshawk/runtime and every other ONNX Runtime',
    'goshawk export runs/first/best.safetensors --output model.onnx --verify photos/',
  )
    .argument('<weights>', 'weights, of any supported format')
    .option('--config <file>', 'config file, for weights that do not bring their own')
    .addOption(setOption())
    .option('--output <file>', 'ONNX file to write', 'model.onnx')
    .addOption(
      new Option(
        '--precision <kind>',
        'how weights are stored: fp16 halves the file and all is computed in fp32; int8 computes in bytes, after --calibrate',
      )
        .choices(['fp32', 'fp16', 'int8'])
        .default('fp32'),
    )
    .option(
      '--calibrate <path...>',
      'pictures, and folders of them, like those that the detector will see: for int8; needs onnxruntime-node',
    )
    .option(
      '--annotations <file>',
      'objects of the pictures of --verify, or of --calibrate, by their file names: for AP',
    )
    .option('--verify <path...>', 'pictures, and folders of them: compare what both find there; needs onnxruntime-node')
    .option('--json', 'print one JSON object')
    .action(async (weights, options) => (await import('./export.js')).runExport(weights, options));

  command(
    program,
    'serve',
    'answer requests for detections over HTTP, until Ctrl-C or SIGTERM',
    [
      'goshawk serve runs/first/best.safetensors',
      "curl -H 'content-type: image/jpeg' --data-binary @photo.jpg http://127.0.0.1:8080/v1/detect",
    ].join('\n  '),
  )
    .argument('<model>', 'weights, of any supported format, or an ONNX file of goshawk export')
    .option('--config <file>', 'config file, for weights that do not bring their own')
    .addOption(setOption())
    .option('--host <address>', 'address to listen on; other than this machine needs a token (default: 127.0.0.1)')
    .option('--port <number>', 'port to listen on; 0 takes a free one (default: 8080)')
    .option(
      '--token <secret>',
      'what requests must bring (default: the variable GOSHAWK_TOKEN, which process lists hide)',
    )
    .option(
      '--score-threshold <score>',
      'keep detections of at least this score, where a request does not say (default: 0.5); best, or a metrics.json',
    )
    .option('--max-detections <count>', 'keep at most this many a picture, where a request does not say (default: 100)')
    .option('--keypoint-threshold <logit>', 'draw keypoints that the model is at least so sure of (default: 2)')
    .option('--threads <count>', "threads of the network (default: the config's, or the runtime's own choice)")
    .option('--max-bytes <count>', 'largest body of a request (default: 20000000)')
    .option('--max-pixels <count>', 'largest picture, width times height (default: 50000000)')
    .option('--max-pictures <count>', 'most pictures of a request (default: 16)')
    .option('--queue <pictures>', 'how many may wait before requests are refused (default: 64)')
    .option('--deadline <seconds>', 'longest time from a request to its answer (default: 30)')
    .option('--arrival <seconds>', 'longest time that a request may take to arrive (default: 30)')
    .option('--drain <seconds>', 'longest time to answer what is on its way at the end (default: deadline and 5)')
    .option('--json', 'tell the address as one JSON object')
    .action(async (model, options) => (await import('./serve.js')).runServe(model, options, version()));

  command(
    program,
    'launch',
    'run train, eval or predict in processes of several machines; to be started on each of them',
    [
      'goshawk launch --nodes 2 --node-rank 0 --master 10.0.0.1:29500 -- train config.yaml --devices cuda   on 10.0.0.1',
      'goshawk launch --nodes 2 --node-rank 1 --master 10.0.0.1:29500 -- train config.yaml --devices cuda   on the other',
    ].join('\n  '),
  )
    .argument(
      '<command...>',
      'behind --: train, eval or predict with its arguments; --devices says what this machine gives',
    )
    .option('--nodes <count>', 'how many machines (default: 1)')
    .option('--node-rank <number>', 'which of them this is, from 0')
    .option('--master <host:port>', 'address of machine 0 that the others reach, where its first process listens')
    .option(
      '--nproc-per-node <count>',
      'processes of this machine, where the command has no --devices; gpu: one a card (default: 1)',
    )
    .addOption(timeoutOption())
    // torchrun's further words for the same.
    .addOption(new Option('--nnodes <count>').hideHelp())
    .addOption(new Option('--master-addr <host>').hideHelp())
    .addOption(new Option('--master-port <port>').hideHelp())
    .addOption(new Option('--rdzv-endpoint <host:port>').hideHelp())
    // Machines are numbered and meet at one address: these have no effect.
    .addOption(new Option('--standalone').hideHelp())
    .addOption(new Option('--rdzv-backend <name>').hideHelp())
    .addOption(new Option('--rdzv-id <name>').hideHelp())
    .addOption(new Option('--devices <list>').hideHelp())
    .action(async (words, options) => (await import('./launch.js')).runLaunch(words, options));

  command(
    program,
    'info',
    'count the parameters, multiply-accumulates and FLOPs of a model, by module',
    'goshawk info configs/torchvision/mask_rcnn_r50_fpn.yaml --shape 800x1333',
  )
    .argument('<config>', 'config file')
    .addOption(setOption())
    .option(
      '--shape <height x width>',
      "size of the network's input in pixels, also as HEIGHT WIDTH (default: the config's minSize x maxSize)",
    )
    .option('--classes <count>', 'number of classes where the config leaves it to the data (default: 80)')
    .option('--depth <levels>', 'levels of modules shown', '3')
    .option('--tree', 'show all levels of modules')
    .option('--time [photo]', 'measure on this machine where the time of a prediction goes; of the size of a photo')
    .option('--json', 'print one JSON object, with all modules')
    .action(async (config, options) => {
      await checkConfig(config, options);
      return (await import('./info.js')).runInfo(config, options);
    });

  command(
    program,
    'curves',
    'draw the losses and measures of runs',
    'goshawk curves runs/first runs/second --keys loss --output curves.png',
  )
    .argument('<run...>', 'output folders of goshawk train, or their metrics.jsonl')
    .option('--keys <names>', 'what to draw, separated by commas (default: all losses, and AP and AP50)')
    .option('--smoothing <share>', '0 to below 1: how smooth the means drawn over the losses are; 0 draws none', '0.9')
    .option('--log', 'losses on a logarithmic axis')
    .option('--output <file>', 'PNG file to write', 'curves.png')
    .action(async (runs, options) => (await import('./curves.js')).runCurves(runs, options));

  addEvaluationOptions(
    command(
      program,
      'evaluate',
      'compare a results file with annotations, as COCO, PASCAL VOC or Cityscapes do',
      'goshawk evaluate --ground-truth val.json --detections detections.json --type bbox',
    )
      .requiredOption('--ground-truth <path>', 'COCO file, PASCAL VOC folder or Cityscapes folder')
      .option('--image-set <name>', 'PASCAL VOC or Cityscapes: the set that was measured')
      .option('--classes <names>', 'PASCAL VOC: class names in order, separated by commas')
      .requiredOption('--detections <file>', 'COCO results file, such as detections.json')
      .addOption(
        new Option('--type <type>', 'what is compared')
          .choices(['bbox', 'segm', 'keypoints', 'voc', 'voc07', 'cityscapes'])
          .default('bbox'),
      )
      .option('--per-category', 'also print AP and AR of each category')
      .option('--errors', 'also print what errors cost (TIDE), what is taken for what, and the best thresholds'),
  )
    .option('--allow-unfinished', 'a results file whose end is missing counts up to there, with a warning')
    .option('--json', 'print one JSON object')
    .action(async (options) => (await import('./evaluate.js')).runEvaluate(options));

  addDataCommands(program);
  addWeightsCommands(program);
  return program;
}

/** They choose a config, and one is given. */
function refuseStarterOptions(path: string, options: Readonly<Record<string, unknown>>): void {
  const given = ['images', 'model', 'size', 'minutes'].find((name) => options[name] !== undefined);
  if (given !== undefined)
    throw new InputError(
      'usage',
      `--${given}: is for a folder of photos or an annotation file, and ${path} is a config: change it there, or by --set`,
    );
}

/** A mistake in a config is told before the engine is loaded, which takes longer than reading it. */
async function checkConfig(file: string, { set }: { readonly set?: readonly string[] }): Promise<void> {
  const { isWeightsFile } = await import('./weights-argument.js');
  // Reading it needs the engine.
  if (isWeightsFile(file)) return;
  (await import('../foreign/open-config.js')).openConfig(file, set);
}

/** What a first config is made by. */
function starterOptions(parent: Command): Command {
  return parent
    .option(
      '--images <folder>',
      'of data: the folder that file names start from (default: found beside the annotations)',
    )
    .addOption(
      new Option('--model <type>', 'of data: the model (default: by what the annotations hold)').choices(modelKinds),
    )
    .addOption(
      new Option('--size <size>', 'of data: the network (default: by the time and the machine)').choices(networkSizes),
    )
    .option('--minutes <count>', 'of data: how long the training may take (default: 10)');
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
