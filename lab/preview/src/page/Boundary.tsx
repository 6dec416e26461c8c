import { Component, type ReactNode } from 'react';

import { Message } from '../panels/Message';
import { problem } from './report';

/** Keeps one broken panel from taking the others with it. */
export class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override componentDidCatch(error: Error): void {
    problem(error);
  }

  override render(): ReactNode {
    return this.state.error ? <Message>This panel can't be drawn: {this.state.error.message}</Message> : this.props.children;
  }
}
