/** Of this software, as in package.json. */
export { version } from '../../package.json';
