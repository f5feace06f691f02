import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { findImages } from './find-images.js';

const refused = (path: string, message: RegExp): void => {
  assert.throws(
    () => findImages([path]),
    (error: unknown) => error instanceof InputError && message.test(error.message) && !error.message.includes('\n'),
  );
};

describe('findImages', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-find-images-'));
    mkdirSync(join(folder, 'photos', 'b'), { recursive: true });
    mkdirSync(join(folder, 'empty'));
    // What macOS and notebooks leave beside pictures is none.
    for (const hidden of ['__MACOSX', '.ipynb_checkpoints']) mkdirSync(join(folder, 'photos', hidden));
    const left = ['._a.JPG', '__MACOSX/a.jpg', '.ipynb_checkpoints/c-checkpoint.webp'];
    for (const name of ['b/2.png', 'a.JPG', 'c.webp', 'notes.txt', 'b/1.jpeg', ...left])
      writeFileSync(join(folder, 'photos', name), '');
    symlinkSync(join(folder, 'photos', 'a.JPG'), join(folder, 'photos', 'link.jpg'));
    symlinkSync(join(folder, 'nowhere.jpg'), join(folder, 'photos', 'broken.jpg'));
  });
  after(() => rmSync(folder, { recursive: true }));

  test('finds the pictures of a folder and below, sorted, named from that folder', () => {
    const broken: string[] = [];
    const found = findImages([join(folder, 'photos')], { onUnusable: ({ message }) => broken.push(message) });
    assert.deepEqual(
      found.map(({ fileName }) => fileName),
      ['a.JPG', 'b/1.jpeg', 'b/2.png', 'c.webp', 'link.jpg'],
    );
    assert.deepEqual(
      found.map(({ path }) => path),
      found.map(({ fileName }) => join(folder, 'photos', fileName)),
    );
    assert.deepEqual(broken, [`${join(folder, 'photos', 'broken.jpg')}: not found: check the path`]);
  });

  describe('tells of pictures that cannot be taken, and takes the others', {
    skip: process.platform !== 'linux',
  }, () => {
    let odd: string;
    before(() => {
      odd = join(folder, 'odd');
      mkdirSync(join(odd, 'below'), { recursive: true });
      writeFileSync(join(odd, 'below', 'good.png'), '');
      writeFileSync(Buffer.concat([Buffer.from(`${odd}/caf`), Buffer.of(0xe9), Buffer.from('.jpg')]), '');
      writeFileSync(join(odd, 'caf\uFFFD.jpg'), '');
      symlinkSync('loop.jpg', join(odd, 'loop.jpg'));
    });
    const problems = [
      /odd\/caf(\\xe9|\uFFFD)\.jpg: its name is no UTF-8, which names in results have to be: rename it$/,
      /odd\/loop\.jpg: a loop of symbolic links: replace the link$/,
    ];
    const check = (paths: readonly string[], names: readonly string[]): void => {
      const told: string[] = [];
      const found = findImages(paths, { onUnusable: ({ message }) => told.push(message) });
      assert.deepEqual(
        found.map(({ fileName }) => fileName),
        names,
      );
      assert.equal(told.length, problems.length, told.join('\n'));
      for (const [index, message] of told.toSorted().entries()) assert.match(message, problems[index]!);
    };

    test('in a folder', () => check([odd], ['below/good.png', 'caf\uFFFD.jpg']));
    test('named by themselves, as a shell names them', () => {
      const good = join(odd, 'below', 'good.png');
      rmSync(join(odd, 'caf\uFFFD.jpg'));
      check([join(odd, 'caf\uFFFD.jpg'), join(odd, 'loop.jpg'), good], [good]);
    });
    test('or throws the first where nobody listens', () => refused(join(odd, 'loop.jpg'), /loop of symbolic links/));
  });

  test('takes files as they are named, whatever their ending, in the order given', () => {
    const paths = [join(folder, 'photos', 'notes.txt'), join(folder, 'photos', 'a.JPG')];
    assert.deepEqual(
      findImages(paths),
      paths.map((path) => ({ path, fileName: path })),
    );
  });

  test('says which path does not exist', () => {
    refused(join(folder, 'nothing'), /nothing: not found: check the path$/);
    refused(join(folder, 'photos', 'a.JPG', 'x.jpg'), /x\.jpg: not found/);
  });

  test('says that a folder has no pictures', () => {
    refused(join(folder, 'empty'), /empty: no pictures in this folder \(expected \.jpg .*\): name another folder$/);
  });
});
