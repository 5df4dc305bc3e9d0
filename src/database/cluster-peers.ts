import type { Ipc } from '../common/ipc';
import type { News, Peers } from './peers';

/** Workers of one cluster on a SQLite file, where no database tells news or keeps locks: their primary process does. It knows at once when a leader dies. */
export class ClusterPeers implements Peers {
  private readonly listeners: ((news: News) => void)[] = [];
  private leading = false;

  constructor(private readonly primary: Ipc) {
    primary.handle('news', (news) => {
      for (const listener of this.listeners) listener(news as News);
    });
  }

  async leads(): Promise<boolean> {
    return (this.leading ||= (await this.primary.ask('lead')) === true);
  }

  tell(news: News): void {
    this.primary.tell('news', news);
  }

  onTold(listener: (news: News) => void): void {
    this.listeners.push(listener);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
