// Links that carry the settings.

import assert from 'node:assert/strict';
import { remark } from '../../tests/runner.mjs';
import { begins, close, open, ready, status, test, told } from './page.mjs';

/** What the form and the cards show of every run. */
async function shown(page) {
  const all = [];
  for (const card of await page.locator('.run label').all()) {
    await card.click();
    all.push(await page.locator('#form').evaluate((form) => (
      [...form.elements].filter((each) => each.name && each.checkVisibility())
        .map(({ name, type, checked, value }) => [name, type === 'checkbox' ? checked : value]))));
  }
  return all;
}

test('a link carries the settings to another page', async () => {
  const page = await ready(await open({ permissions: ['clipboard-read', 'clipboard-write'] }));
  await page.selectOption('[name=rule]', 'rmsprop-momentum');
  await page.fill('[name=k]', '7');
  await page.fill('[name=alpha]', '0.25');
  await page.selectOption('[name=policy]', 'reset');
  await page.check('[name=adaptive]');
  await page.fill('[name=alpha_low]', '0.1');
  await page.fill('[name=epochs]', '1');
  await page.fill('[name=seed]', '12');
  await page.fill('[name=hidden]', '48');
  // Leaving the field by this press makes the card anew, and the press counts.
  await page.fill('[name=alpha]', '0.125');
  await page.click('#add');
  await page.fill('[name=learning_rate]', '1e-4');
  await page.click('#link');
  await begins(page, 'status', 'Link copied.');
  const address = await page.evaluate(() => navigator.clipboard.readText());
  remark(new URL(address).hash);
  assert.equal(address, page.url());
  const other = await ready(await open({ path: new URL(address).hash }));
  assert.equal(await other.locator('.run').count(), 3);
  assert.deepEqual(await shown(other), await shown(page));
  assert.ok(await other.locator('#notice').isHidden());
  // The settings are the engine's, too.
  await other.click('#train');
  await status(other, 'Done.');
  await close(page);
  await close(other);
});

test('says what is wrong with a link, and takes nothing of it', async () => {
  const wrong = {
    'run=adam,0.003&run=sgdm,0.1': 'there is no rule "sgdm"',
    'run=adam,0': '"0" is no learning rate that the form takes',
    'run=adam,0.1,5,2,maintain': '"2" is no alpha',
    'run=adam,0.1,5,0.5,keep': 'there is no policy "keep"',
    'run=adam,0.1,5': 'is no run',
    'run=adam,0.1&epochs=1e9': '"1e9" is no epochs',
    'run=adam,0.1&seed=': '"" is no seed',
    'colour=%3Cimg%20src=x%3E': 'which is no setting',
    'run=adam,1&run=adam,1&run=adam,1&run=adam,1&run=adam,1': '5 runs, and 4 are the most',
  };
  const page = await ready(await open({ path: '#what?' }));
  await told(page, 'it has "what?", which is no setting');
  const before = await shown(page);
  for (const [hash, words] of Object.entries(wrong)) {
    await page.evaluate((hash) => { location.hash = hash; }, hash);
    await told(page, words);
    assert.deepEqual(await shown(page), before, hash);
  }
  await page.evaluate(() => { location.hash = 'run=sgd,0.5'; });
  await page.locator('.run').filter({ hasText: 'sgd' }).waitFor();
  assert.equal(await page.locator('.run').count(), 1);
  await close(page);
});
