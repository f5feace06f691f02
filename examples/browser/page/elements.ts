// The parts of index.html that the scripts work with.

function byId<Kind extends HTMLElement>(id: string, kind: abstract new () => Kind): Kind {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`internal: index.html has no ${kind.name} #${id}`);
}

export const page = {
  model: byId('model', HTMLElement),
  canvas: byId('canvas', HTMLCanvasElement),
  invitation: byId('invitation', HTMLElement),
  photos: byId('photos', HTMLInputElement),
  camera: byId('camera', HTMLButtonElement),
  scene: byId('scene', HTMLButtonElement),
  pager: byId('pager', HTMLElement),
  previous: byId('previous', HTMLButtonElement),
  place: byId('place', HTMLElement),
  next: byId('next', HTMLButtonElement),
  problem: byId('problem', HTMLElement),
  status: byId('status', HTMLElement),
  rate: byId('rate', HTMLElement),
  threshold: byId('threshold', HTMLInputElement),
  least: byId('least', HTMLOutputElement),
  boxes: byId('boxes', HTMLInputElement),
  masks: byId('masks', HTMLInputElement),
  names: byId('names', HTMLInputElement),
  found: byId('found', HTMLTableElement),
  results: byId('results', HTMLDetailsElement),
  json: byId('json', HTMLTextAreaElement),
  ownModel: byId('own-model', HTMLInputElement),
  offline: byId('offline', HTMLElement),
};

export function showProblem(error: unknown): void {
  page.problem.textContent = error instanceof Error ? error.message : String(error);
  page.problem.hidden = false;
}

export function clearProblem(): void {
  page.problem.textContent = '';
  page.problem.hidden = true;
}
