// Notes when the last chart or figure of a page was drawn after an input. Charts are canvases or drawings of elements, figures are
// texts; whatever draws them, it is on the screen at the end of the frame in which it changed.
(() => {
  const HOLDERS = '[data-testid=stVegaLiteChart], [data-testid=stMetric], .js-plotly-plot';
  const CHARTS = '[data-testid=stVegaLiteChart], .js-plotly-plot';
  const seen = {asked: 0, last: 0, charts: new Set(), waiting: false};

  const mark = (holder) => {
    if (holder.matches(CHARTS)) seen.charts.add(holder);
    if (seen.waiting) return;
    seen.waiting = true;
    requestAnimationFrame(() => {
      const afterTheFrame = new MessageChannel();
      afterTheFrame.port1.onmessage = () => { seen.waiting = false; seen.last = performance.now(); };
      afterTheFrame.port2.postMessage(0);
    });
  };
  new MutationObserver((changes) => {
    for (const {target} of changes) {
      const element = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
      const holder = element && element.closest(HOLDERS);
      if (holder && (!holder.matches('[data-testid=stVegaLiteChart]') || element.closest('svg'))) mark(holder);
    }
  }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  const save = CanvasRenderingContext2D.prototype.save;  // the first thing that a drawing of a canvas does
  CanvasRenderingContext2D.prototype.save = function () {
    const holder = this.canvas.closest(HOLDERS);
    if (holder) mark(holder);
    return save.call(this);
  };
  for (const kind of ['click', 'keydown']) {
    addEventListener(kind, (event) => { if (seen.asked === null) seen.asked = event.timeStamp; }, true);
  }

  window.drawn = {
    // From now on the next input counts.
    listen() { seen.asked = null; seen.last = 0; seen.charts.clear(); },
    // Milliseconds from the input (or from the begin of the page) to the last drawing; null where nothing was drawn in time.
    async settled({quiet, limit, least}) {
      const began = performance.now();
      while (performance.now() - began < limit) {
        await new Promise((over) => setTimeout(over, 40));
        const app = document.querySelector('[data-testid=stApp]');
        const isRunning = app && app.dataset.testScriptState === 'running';
        const isDrawn = seen.asked !== null && seen.last > seen.asked && seen.charts.size >= least;
        if (!isRunning && isDrawn && performance.now() - seen.last > quiet) {
          return {milliseconds: seen.last - seen.asked, charts: seen.charts.size};
        }
      }
      return null;
    },
  };
})();
