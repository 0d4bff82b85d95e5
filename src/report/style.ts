/** The look of the report: light and dark, from phone to desktop, and on paper. */
export const style = `
:root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1c2024;--soft:#5c6570;--line:#dfe2e0;--grid:#e9ebe9;
--accent:#2166ac;--good:#1a7f4b;--bad:#c0392b;--float:#9aa3ab;--small:#2166ac;--medium:#c2650c;--large:#1b8a6b;--band:#1c202410}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--card:#1b1f23;--ink:#e7eaec;--soft:#9ba5ae;--line:#31373d;--grid:#282d32;
--accent:#6aaeea;--good:#55c58a;--bad:#f0766a;--float:#6b747c;--small:#6aaeea;--medium:#f0a35a;--large:#4fcaa5;--band:#ffffff12}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
-webkit-text-size-adjust:100%}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:32px;line-height:1.2;margin:0;overflow-wrap:anywhere;letter-spacing:-.01em}
h2{font-size:21px;line-height:1.3;margin:56px 0 4px}
h3{font-size:15px;margin:0 0 2px;overflow-wrap:anywhere}
p{margin:4px 0 16px;max-width:70ch}
.lead{font-size:18px;margin-top:10px}
.soft,figcaption,.meta{color:var(--soft)}
.meta{font-size:14px;margin:6px 0 0}
small,figcaption{font-size:14px}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:28px 0 0;padding:0;list-style:none}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:30px;line-height:1.15;font-weight:650;font-variant-numeric:tabular-nums;letter-spacing:-.02em}
.tile span{display:block;font-size:14px;color:var(--soft)}
.tile .what{color:var(--ink);font-weight:550}
.scroll{overflow-x:auto;--edge:color-mix(in srgb,var(--ink) 24%,transparent);background:
linear-gradient(90deg,var(--paper) 40%,transparent) 0 0/32px 100% no-repeat local,
linear-gradient(-90deg,var(--paper) 40%,transparent) 100% 0/32px 100% no-repeat local,
linear-gradient(90deg,var(--edge),transparent) 0 0/12px 100% no-repeat scroll,
linear-gradient(-90deg,var(--edge),transparent) 100% 0/12px 100% no-repeat scroll}
.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:15px;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);font-size:14px;padding-bottom:6px}
th{font-weight:550;color:var(--soft);font-size:14px;text-align:right;vertical-align:bottom}
td{text-align:right}
th,td{padding:7px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
tbody th{color:var(--ink);font-size:15px}
td.text{text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:12ch}
th.text{text-align:left}
.name{overflow-wrap:anywhere;white-space:normal;min-width:11ch}
.good{color:var(--good)}.worse{color:var(--bad)}
.two{display:grid;grid-template-columns:minmax(0,440px) minmax(0,1fr);gap:32px;align-items:center}
.legend{display:inline-block;width:16px;height:14px;vertical-align:-2px;margin-right:6px}
.meter{display:grid;grid-template-columns:minmax(52px,max-content) 1fr;gap:6px 12px;align-items:center;font-variant-numeric:tabular-nums}
.meter i{display:block;height:18px;background:var(--accent);border-radius:2px;min-width:2px}
.meter div{display:flex;align-items:center;gap:8px;white-space:nowrap;font-size:14px}
.meter div i{flex:none}
.meter i.first{background:var(--float)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));gap:14px;margin-top:12px}
.cards.halves{grid-template-columns:repeat(auto-fit,minmax(280px,1fr))}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px;min-width:0}
svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
svg text{font-variant-numeric:tabular-nums}
.axis path{stroke:var(--soft);stroke-width:1;fill:none}.axis path.grid{stroke:var(--grid)}
.axis text,svg .title{fill:var(--soft)}
.band{fill:var(--band)}
.diagonal{stroke:var(--soft);stroke-width:1;stroke-dasharray:4 4;fill:none}
.points path{fill-opacity:.6}
.small{fill:var(--small)}.medium{fill:var(--medium)}.large{fill:var(--large)}
.bar{fill:var(--accent)}.bad{fill:var(--bad)}.float{fill:none;stroke:var(--float);stroke-width:1}.clipped{fill:var(--medium)}
.number{font-weight:600}
.threshold{stroke:var(--ink);stroke-width:1.5;fill:none}
.key{display:inline-block;width:12px;height:12px;border-radius:2px;background:var(--accent);margin:0 5px 0 0;vertical-align:-1px}
.key.bad{background:var(--bad)}.key.float{background:none;border:1px solid var(--float)}.key.clipped{background:var(--medium)}
.keys{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:14px;color:var(--soft);margin:8px 0 12px}
.narrow{display:none}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:8px;margin:0 0 24px}
.pair img{width:100%;height:auto;display:block;border-radius:6px;background:var(--line)}
.pair figcaption{grid-column:1/-1;overflow-wrap:anywhere}
.pair span{display:block;font-size:14px;font-weight:550;margin-bottom:2px}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:6px 20px;margin:12px 0;font-size:15px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
ul.notes{padding-left:20px;margin:8px 0}
ul.notes li{margin:2px 0;overflow-wrap:anywhere}
details{margin-top:14px}summary{cursor:pointer;color:var(--soft)}
@media(max-width:760px){main{padding:24px 16px 48px}h1{font-size:26px}h2{margin-top:44px}.tiles{grid-template-columns:1fr 1fr}
.tile{padding:12px}.tile b{font-size:25px}.two{grid-template-columns:minmax(0,1fr);gap:16px}.wide{display:none}.narrow{display:block}
.pair{grid-template-columns:1fr}th,td{padding:7px 7px}table,tbody th{font-size:14px}dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:8px}}
@media print{:root{color-scheme:light}main{max-width:none;padding:0}.card,.pair,.tile,tr{break-inside:avoid}}
`;
