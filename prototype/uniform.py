import sys, numpy as np
from unittest import mock
from benchmarks import budget as b, bargain, stopping
from service.relevance.promise import audit as audits
from service.relevance.promise.applying import KEEP, Applied, apply, overruled
from service.relevance.definition import Target
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored
def shares_way(mix):
    def way(fresh,cal,said,labels):
        now=b._now(fresh,cal,said,labels); s=np.array(fresh.sizes,float); s/=s.sum()
        sh=(1-mix)*np.array(now.design.shares)+mix*s
        return audits.with_plan(now, sh, now.design.aim, now.design.planned, labels)
    return way
WAYS=[shares_way(m) for m in (0,.3,.6,1.0)]
runs=int(sys.argv[1])
for cell in b.cells([]):
    g=np.random.default_rng(5); res=[]
    for _ in range(runs):
        relevant,scores=cell.draw(g); rows=len(relevant)
        top=np.argsort(-scores,kind="stable")[:20]
        shown=np.unique(np.concatenate([top,g.choice(rows,40,replace=False)]))
        said={int(r)+1:"yes" if relevant[r] else "no" for r in shown}
        cal=Calibration.fit(scores[shown],relevant[shown]); seed=g.bytes(32).hex(); row=[]
        for way in WAYS:
            with mock.patch.object(audits,"fresh_seed",lambda: seed):
                fresh=audits.begin(1,1,Target(cell.recall,None,.95),Scored(np.arange(1,rows+1),scores),said)
            a=way(fresh,cal,said,cell.labels)
            drawn=a.draws(cell.labels)[1].tolist()
            ans=said|{r:"yes" if relevant[r-1] else "no" for r in drawn}
            ap=apply(a,ans,cal)
            d=overruled(a,ap.decisions,ans)==KEEP if isinstance(ap,Applied) else np.ones(rows,bool)
            row.append(d.mean())
        st=(relevant,cell.recall,.05,cell.labels,g)
        row.append(bargain.select(scores,*st).mean()); row.append(stopping.quantile_bound(scores,*st).mean())
        res.append(row)
    print(cell.name,cell.labels,"now/.3/.6/1.0 uniform | bargain qbcb:",np.round(np.mean(res,0),3), flush=True)
