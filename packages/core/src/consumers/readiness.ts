/**
 * Says when the application has booted. Nest lets microservices listen before that, and a message that comes so early
 * must wait: its handlers are not known yet.
 */
export class Readiness {
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  open(): void {
    this.#open();
  }

  wait(): Promise<void> {
    return this.#opened;
  }
}
