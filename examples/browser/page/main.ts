// What the page does: pictures in, what the detector finds on them out.
import { demoShapes } from '@goshawk/core';
import type { OnnxDetector } from '@goshawk/runtime';
import { type Camera, FrameRate, openCamera } from './camera.js';
import { clearProblem, page, showProblem } from './elements.js';
import { modelBesidePage, openModel } from './model.js';
import { frameOf, madeScene, type Picture, pictureOf } from './pictures.js';
import { type Shown, show } from './show-found.js';

let detector: OnnxDetector | undefined;
let camera: Camera | undefined;
let photos: readonly File[] = [];
let place = 0;
let scenes = 0;
/** What is looked at, or waits for a model. */
let wanted: Picture | undefined;
let shown: Shown | undefined;
/** What was asked for last; answers to what was asked before come too late to be shown. */
let turn = 0;
/** The same of models. */
let modelTurn = 0;

async function useModel(bytes: Uint8Array, name: string): Promise<void> {
  const own = ++modelTurn;
  page.model.textContent = `${name} (${(bytes.length / 1e6).toFixed(1)} MB) is being opened.`;
  const opened = await openModel(bytes, name).catch((error: unknown) => {
    if (own === modelTurn) describeModel();
    throw error;
  });
  if (own !== modelTurn) {
    await opened.release();
    return;
  }
  const before = detector;
  detector = opened;
  await before?.release();
  describeModel(name);
  page.scene.hidden = !detector.categories.every((category) => demoShapes.some((shape) => shape === category.name));
  page.masks.parentElement!.hidden = detector.description.masks === undefined;
  if (!camera && wanted) await findIn(wanted);
}

let modelName = '';

function describeModel(name = modelName): void {
  modelName = name;
  const known = detector?.categories ?? [];
  const names = known.slice(0, 6).map((category) => category.name);
  const more = known.length > names.length ? ` and ${known.length - names.length} more` : '';
  page.model.textContent = detector
    ? `${name}: ${detector.description.model}, finds ${names.join(', ')}${more}`
    : 'No model yet: choose an .onnx file that goshawk export wrote.';
}

/** Its turn begins before it is read, so that a slow one is not shown over what was asked for after it. */
async function readAndFind(file: File): Promise<void> {
  const own = ++turn;
  page.status.textContent = `Looking at ${file.name}.`;
  const picture = await pictureOf(file);
  if (own === turn) await findIn(picture);
}

async function findIn(picture: Picture): Promise<void> {
  const own = ++turn;
  wanted = picture;
  const by = detector;
  if (!by) {
    page.status.textContent = 'Waiting for a model.';
    return;
  }
  page.status.textContent = `Looking at ${picture.name}.`;
  const result = await foundUnlessExchanged(by, picture);
  if (own !== turn || !result) return;
  shown = result;
  show(result, false);
}

/** Nothing where another model took its place meanwhile, which looks at the picture itself. */
function foundUnlessExchanged(by: OnnxDetector, picture: Picture): Promise<Shown | undefined> {
  return found(by, picture).catch((error: unknown) => {
    if (by !== detector) return undefined;
    throw error;
  });
}

async function found(by: OnnxDetector, picture: Picture): Promise<Shown> {
  const started = performance.now();
  const [detections = []] = await by.detect([picture.image]);
  return { picture, found: detections, categories: by.categories, milliseconds: performance.now() - started };
}

async function showPhoto(index: number): Promise<void> {
  place = index;
  const file = photos[index]!;
  page.pager.hidden = photos.length < 2;
  page.place.textContent = `${index + 1} of ${photos.length}: ${file.name}`;
  page.previous.disabled = index === 0;
  page.next.disabled = index === photos.length - 1;
  await readAndFind(file);
}

/** Photos to look at, or a model to look with. */
async function take(files: readonly File[]): Promise<void> {
  const model = files.find(({ name }) => name.toLowerCase().endsWith('.onnx'));
  if (model) await useModel(new Uint8Array(await model.arrayBuffer()), model.name);
  const pictures = files.filter((file) => file !== model);
  if (pictures.length === 0) return;
  stopCamera();
  photos = pictures;
  await showPhoto(0);
}

async function toggleCamera(): Promise<void> {
  if (camera) {
    stopCamera();
    return;
  }
  const opened = await openCamera();
  camera = opened;
  page.camera.setAttribute('aria-pressed', 'true');
  page.camera.textContent = 'Stop the camera';
  page.pager.hidden = true;
  page.status.textContent = 'The camera runs.';
  page.rate.hidden = false;
  const rate = new FrameRate();
  const own = ++turn;
  while (camera === opened && own === turn) {
    const by = detector;
    if (!by) {
      await new Promise((wake) => setTimeout(wake, 100));
      continue;
    }
    const result = await foundUnlessExchanged(by, frameOf(opened.video));
    if (camera !== opened || own !== turn || !result) continue;
    shown = result;
    show(result, true);
    const frames = rate.add(performance.now());
    if (frames !== undefined)
      page.rate.textContent = `${frames.toFixed(1)} frames a second, ${Math.round(result.milliseconds)} ms each`;
  }
}

function stopCamera(): void {
  if (!camera) return;
  camera.stop();
  camera = undefined;
  page.camera.setAttribute('aria-pressed', 'false');
  page.camera.textContent = 'Use the camera';
  page.rate.hidden = true;
  if (shown) show(shown, false);
}

/** Whatever a person starts: what goes wrong stands in the page, and stops what was running. */
function on(target: EventTarget, kind: string, action: (event: Event) => Promise<void> | void): void {
  target.addEventListener(kind, (event) => {
    clearProblem();
    Promise.resolve(action(event)).catch((error: unknown) => {
      stopCamera();
      page.status.textContent = '';
      showProblem(error);
    });
  });
}

function takeChosen(input: HTMLInputElement): Promise<void> {
  const files = [...(input.files ?? [])];
  // The same file can be chosen again.
  input.value = '';
  return take(files);
}

on(page.photos, 'change', () => takeChosen(page.photos));
on(page.ownModel, 'change', () => takeChosen(page.ownModel));
on(page.camera, 'click', toggleCamera);
on(page.previous, 'click', () => showPhoto(place - 1));
on(page.next, 'click', () => showPhoto(place + 1));
on(page.scene, 'click', () => {
  stopCamera();
  page.pager.hidden = true;
  return findIn(madeScene(scenes++));
});
on(page.threshold, 'input', () => {
  page.least.value = page.threshold.valueAsNumber.toFixed(2);
});
for (const control of [page.threshold, page.boxes, page.masks, page.names])
  on(control, 'input', () => {
    if (shown) show(shown, camera !== undefined);
  });

on(window, 'resize', () => {
  if (shown) show(shown, camera !== undefined);
});

const stage = page.canvas.parentElement!;
for (const kind of ['dragenter', 'dragover'])
  on(document, kind, (event) => {
    event.preventDefault();
    stage.classList.add('over');
  });
on(document, 'dragleave', () => stage.classList.remove('over'));
on(document, 'drop', (event) => {
  event.preventDefault();
  stage.classList.remove('over');
  return take([...((event as DragEvent).dataTransfer?.files ?? [])]);
});

async function start(): Promise<void> {
  page.camera.hidden = navigator.mediaDevices === undefined;
  const bytes = await modelBesidePage();
  if (bytes) await useModel(bytes, 'model.onnx');
  else describeModel();
}

/** What the page needs is kept by the browser, so that it starts without its server. */
async function keepForLater(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  await navigator.serviceWorker.register('service-worker.js');
  await navigator.serviceWorker.ready;
  page.offline.textContent = 'It also works without a network from now on.';
}

start().catch(showProblem).finally(keepForLater);
