import { describe, expect, it } from '@jest/globals';
import { monotonicClock } from '../relay/relay-clock.js';
import { MessagesInHand } from './messages-in-hand.js';

describe('the end of the messages in hand', () => {
  it('waits for those that are in hand as it begins, and for no others, however often it is asked', async () => {
    const inHand = new MessagesInHand(monotonicClock);
    const holds = [inHand.hold('first'), inHand.hold('second')];
    inHand.release(inHand.hold('done before'));
    let isOver = false;
    const ending = Promise.all([inHand.end(), inHand.end()]).then(() => (isOver = true));
    inHand.hold('comes late');
    inHand.release(holds[0]!);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).toBe(false);
    inHand.release(holds[1]!);
    await ending;
    expect(inHand.isEnding).toBe(true);
  });

  it('is at once where there are none, and lets none wait from then on', async () => {
    const inHand = new MessagesInHand(monotonicClock);
    await inHand.end();
    await expect(inHand.hold('comes late').wait(60_000)).rejects.toThrow('the application ends');
  });
});
