import 'uplot/dist/uPlot.min.css';

import { createTheme, setTimeZoneResolver } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { GlobalStyles, PortalContainer, ThemeContext } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { fillRegistries } from './grafana/registries';
import { type Dashboard } from './model/dashboard';
import { readAddress, type Address } from './page/address';
import { Banner } from './page/Banner';
import { DashboardPage } from './page/DashboardPage';
import { dashboardByUid, dataSources, searchDashboards } from './page/grafanaApi';
import { problem, report } from './page/report';

const FONTS: Array<[family: string, weight: string, file: string]> = [
  ['Inter', '400', 'inter/Inter-Regular.woff2'],
  ['Inter', '500', 'inter/Inter-Medium.woff2'],
  ['Roboto Mono', '400', 'RobotoMono-Regular.woff2'],
];

async function main(): Promise<void> {
  const address = readAddress(window.location);
  if (!address.picture) {
    await signIn();
  }
  const [dashboard, sources, known] = await Promise.all([
    dashboardByUid(address.uid),
    dataSources(),
    address.picture ? [] : searchDashboards(),
    // The second argument is a list of languages to load: English is built in.
    initPluginTranslations('grafana-ui', []),
    loadFonts(),
  ]);
  fillRegistries();
  const timeZone = zoneOf(dashboard, address);
  setTimeZoneResolver(() => timeZone);
  document.title = `${dashboard.title} - preview`;
  const theme = createTheme({ colors: { mode: address.theme } });
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {!address.picture && <Banner />}
      <DashboardPage address={address} dashboard={dashboard} sources={sources} known={known} timeZone={timeZone} />
      <PortalContainer />
    </ThemeContext.Provider>
  );
}

/**
 * Lets the browser know that its password is good for everything here.
 *
 * It was asked for below /d/; the API, unlike this page, only refuses and doesn't ask.
 */
async function signIn(): Promise<void> {
  await fetch('/dashboards');
}

/** Plots measure their labels before they draw them: the fonts have to be there by then. */
async function loadFonts(): Promise<void> {
  const loads = FONTS.map(([family, weight, file]) =>
    new FontFace(family, `url(${import.meta.env.BASE_URL}fonts/${file})`, { weight }).load()
  );
  (await Promise.all(loads)).forEach((font) => document.fonts.add(font));
}

/** A picture is the same wherever it is drawn. */
function zoneOf(dashboard: Dashboard, { picture, parameters }: Address): string {
  const asked = parameters.get('timezone') ?? dashboard.timezone ?? 'browser';
  return picture && asked === 'browser' ? 'utc' : asked;
}

main().catch((error: unknown) => {
  problem(error);
  report.done = true;
  document.body.append(`This dashboard can't be drawn: ${error instanceof Error ? error.message : String(error)}`);
});
