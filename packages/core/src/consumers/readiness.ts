/**
 * Says when the application has booted. Nest lets microservices listen before that, and a message that comes so early
 * must wait: its handlers are not known yet.
 */
export class Readiness {
  #isOpen = false;
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
    this.#open();
  }

  wait(): Promise<void> {
    return this.#opened;
  }
}
