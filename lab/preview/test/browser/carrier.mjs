/**
 * Carries what a page asks for in Node, not in Chromium.
 *
 * Chromium breaks off all that it loads (ERR_NETWORK_CHANGED) whenever any network of the machine comes or goes,
 * as those of containers do all the time, and has no switch against that.
 */

/** Answers everything that the context's pages ask for; a password goes where a browser would send it. */
export async function carry(context, username, password) {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  // Folders in which somebody asked for the password: there and below it goes along unasked (RFC 7617, 2.2).
  const asked = new Set();
  await context.route('**/*', async (route) => {
    const url = route.request().url();
    const ask = async () => {
      const known = [...asked].some((folder) => url.startsWith(folder));
      const headers = { ...(await route.request().allHeaders()), ...(known ? { authorization } : {}) };
      // A connection that was kept open may be closed by the server just then: asked once more.
      return route.fetch({ headers, maxRedirects: 0, maxRetries: 2 });
    };
    const first = await ask();
    if (first.status() !== 401 || !first.headers()['www-authenticate']?.startsWith('Basic')) {
      return route.fulfill({ response: first });
    }
    asked.add(new URL('.', url).href);
    return route.fulfill({ response: await ask() });
  });
}
