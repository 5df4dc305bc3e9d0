interface Asked<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** Answers together what is asked in one turn of the event loop: where many wait for the same event, what they have in common is looked up once. */
export class Together<Question, Answer> {
  private asked: Asked<Question, Answer>[] = [];

  /** @param answer gives the answers in the order of the questions; when it throws, each of those who asked is told */
  constructor(private readonly answer: (questions: readonly Question[]) => Promise<readonly Answer[]>) {}

  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.asked.length === 0) setImmediate(() => void this.answerAll());
      this.asked.push({ question, resolve, reject });
    });
  }

  private async answerAll(): Promise<void> {
    const asked = this.asked;
    this.asked = [];
    try {
      const answers = await this.answer(asked.map(({ question }) => question));
      asked.forEach(({ resolve }, index) => resolve(answers[index] as Answer));
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
}
