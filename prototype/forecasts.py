import numpy as np
from unittest import mock
from benchmarks import budget as b
from service.relevance.promise import audit as audits, budget as pb
from service.relevance.promise.applying import forecast
from service.relevance.promise.promise import chains
from service.relevance.promise import plan
from service.relevance.definition import Target
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored
np.set_printoptions(precision=3,suppress=True,linewidth=170)
cell=next(iter(b.cells([])))
g=np.random.default_rng(5)
for _ in range(3):
    relevant,scores=cell.draw(g); rows=len(relevant)
    top=np.argsort(-scores,kind="stable")[:20]
    shown=np.unique(np.concatenate([top,g.choice(rows,40,replace=False)]))
    said={int(r)+1:"yes" if relevant[r] else "no" for r in shown}
    cal=Calibration.fit(scores[shown],relevant[shown])
    fresh=audits.begin(1,1,Target(cell.recall,None,.95),Scored(np.arange(1,rows+1),scores),said)
    sizes=np.array(fresh.sizes); rates=forecast(fresh,cal)
    true=np.array([relevant[fresh.strata==s].mean() for s in range(len(sizes))])
    delta=fresh.design.delta(.95)
    ch=chains(fresh.design.target,sizes,fresh.known(said),delta,None)[0]
    print("expected relevant",(sizes*rates).sum(),"true",(sizes*true).sum(), "strata",len(sizes),"lines",len(ch.cuts))
    safe,_=plan.shares_of(sizes,rates,[ch],1000,None,None)
    chosen=pb.shares_within(sizes,rates,ch,1000,safe); uni=sizes/sizes.sum()
    for name,rr in (("true",np.clip(true,1e-6,1-1e-6)[None]),("forecasts",pb.forecasts(sizes,rates))):
        for n2,w in (("chosen",chosen),("uniform",uni)):
            c=pb.chances(sizes,w,rr,ch,1000)
            each=[pb.kept(sizes,ch,c[i:i+1]) for i in range(len(c))]
            print(name,n2,"kept",round(pb.kept(sizes,ch,c),3),"first",c[:,0].mean().round(3),np.array(each))
