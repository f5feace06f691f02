import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { findImages } from './find-images.js';

describe('findImages', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-find-images-'));
    mkdirSync(join(folder, 'photos', 'b'), { recursive: true });
    mkdirSync(join(folder, 'empty'));
    for (const name of ['b/2.png', 'a.JPG', 'c.webp', 'notes.txt', 'b/1.jpeg'])
      writeFileSync(join(folder, 'photos', name), '');
    symlinkSync(join(folder, 'photos', 'a.JPG'), join(folder, 'photos', 'link.jpg'));
    symlinkSync(join(folder, 'nowhere.jpg'), join(folder, 'photos', 'broken.jpg'));
  });
  after(() => rmSync(folder, { recursive: true }));

  test('finds the pictures of a folder and below, sorted, named from that folder', () => {
    const found = findImages([join(folder, 'photos')]);
    assert.deepEqual(
      found.map(({ fileName }) => fileName),
      ['a.JPG', 'b/1.jpeg', 'b/2.png', 'c.webp', 'link.jpg'],
    );
    assert.deepEqual(
      found.map(({ path }) => path),
      found.map(({ fileName }) => join(folder, 'photos', fileName)),
    );
  });

  test('takes files as they are named, whatever their ending, in the order given', () => {
    const paths = [join(folder, 'photos', 'notes.txt'), join(folder, 'photos', 'a.JPG')];
    assert.deepEqual(
      findImages(paths),
      paths.map((path) => ({ path, fileName: path })),
    );
  });

  const refused = (path: string, message: RegExp): void => {
    assert.throws(
      () => findImages([path]),
      (error: unknown) => error instanceof InputError && message.test(error.message) && !error.message.includes('\n'),
    );
  };

  test('says which path does not exist', () => {
    refused(join(folder, 'nothing'), /nothing: not found: check the path$/);
    refused(join(folder, 'photos', 'a.JPG', 'x.jpg'), /x\.jpg: not found/);
  });

  test('says that a folder has no pictures', () => {
    refused(join(folder, 'empty'), /empty: no pictures in this folder \(expected \.jpg .*\): name another folder$/);
  });
});
