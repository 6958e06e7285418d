"""Prototype: after LOOKS answers the draws are shared out anew."""
import sys, numpy as np
from unittest import mock
from scipy.special import ndtr, ndtri
from sklearn.isotonic import IsotonicRegression
from benchmarks import budget as b
from service.relevance.promise import audit as audits, budget as pb, plan
from service.relevance.promise.applying import KEEP, Applied, apply, overruled, decide, Standing, goals_of, forecast
from service.relevance.promise.martingale import draw_strata, parts_for, weigh
from service.relevance.promise.promise import chains, Known
from service.relevance.definition import Target
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

def chances(left, shares, rates, chain, budget, ev):
    first=chain.first_of_target()
    gains=chain.claims.gains[first:]; known0=ev.known[first:]; now=ev.now[first:]; best=ev.best[first:]
    sh=np.where(left>0,shares,0); sh=sh/sh.sum()
    drawn=pb._drawn(left,sh,budget)
    known=known0+(drawn/2*rates)@gains.T
    jumps=gains*np.where(left>0,(left-drawn/2)/np.where(sh>0,sh,1),0)
    worst=known+np.minimum(jumps.min(axis=1),0.0)
    scale=np.where(worst<0,-worst,np.inf)
    yes=(known[:,:,None]+jumps)/scale[:,:,None]; no=np.maximum(known/scale,0.0)
    relevant=(drawn*rates)[:,None,:]
    won,lost=np.maximum(yes,0.0),np.maximum(-yes,0.0)
    brought=(relevant*won).sum(2)+no*(drawn.sum()-relevant.sum(2))
    spread=(relevant*won**2).sum(2)/np.maximum(brought,1e-9)
    part=np.clip(np.exp(now)*chain.delta*.85,1e-12,1-1e-9)
    ahead=2*np.sqrt(brought)-2*np.sqrt((relevant*lost).sum(2))+ndtri(part)
    f=np.where(brought<-np.log(part),0.0,ndtr(ahead/np.sqrt(1+spread)))
    f=np.where((worst<0)&(best<-np.log(chain.delta)-1e-12),f,1.0)
    return np.minimum.accumulate(f,axis=1)

def ways(left,rates,chain,uni):
    cuts=sorted(set(chain.cuts[chain.first_of_target():]))
    some=np.linspace(0,len(cuts)-1,min(14,len(cuts))).round().astype(int); cuts=[cuts[i] for i in some]
    sizes=np.maximum(left,0)
    return [uni,*(pb.shares_for(np.maximum(sizes,1e-9),rates,c,d) for c in cuts for d in cuts if d<=c)]

SL=(.75,1.,1.35); MV=(-.7,0.,.7)
def replanned(audit,fresh,cal,said,relevant,scores,n,looks,g,stats):
    sizes=np.array(audit.sizes); S=len(sizes); first=np.array(audit.design.shares)
    target=audit.design.target; delta=audit.design.delta(target.confidence)
    known=audit.known(said); ch=chains(target,sizes,known,delta,None)[0]
    frozen=chains(target,sizes,Known(0,0),delta,None)[0]
    rates0=forecast(audit,cal); parts=parts_for(sizes,first,rates0,frozen.claims); goal=goals_of(audit,rates0)[0]
    rows_of=[g.permutation(np.flatnonzero(audit.strata==s)) for s in range(S)]
    used=np.zeros(S,int); strata=[]; answers=[]; shs=[]; shares=first; rowsdrawn=[]
    stops=[*looks,n]; start=0; uni=sizes/sizes.sum()
    for stop in stops:
        m=stop-start
        left=sizes-used
        st=draw_strata(left,shares,g.random(m))
        for s in st.tolist():
            r=rows_of[s][used[s]]; used[s]+=1; rowsdrawn.append(r); strata.append(s); answers.append(int(relevant[r])); shs.append(shares)
        start=stop
        sharr=np.array(shs)
        ev=weigh(sizes,sharr,np.array(strata),answers,ch.claims,parts,goal)
        if stop==n: break
        # learn
        a=np.array(answers); drawn=np.bincount(strata,minlength=S); rel=np.bincount(strata,weights=a,minlength=S)
        sd=np.array([i-1 for i in said]); rows=np.concatenate([sd,np.array(rowsdrawn)])
        w=None
        fit=Calibration.fit(scores[rows],relevant[rows])
        p=rates0 if fit is None else np.array([fit.probability(scores[audit.strata==s]).mean() for s in range(S)])
        raw=(5*p+rel)/(5+drawn)
        iso=IsotonicRegression(increasing=False).fit(np.arange(S),raw,sample_weight=5+drawn).predict(np.arange(S))
        iso=np.clip(iso,1e-5,1-1e-5)
        left=sizes-used; odds=np.log(iso/(1-iso)); mid=np.log(np.average(iso,weights=sizes)); mid=mid-np.log(1-np.exp(mid))
        k=min(1,PRI/(rel.sum()+1))**.5
        likely=np.array([1/(1+np.exp(-(mid+(1+(s-1)*1)*(odds-mid)+m_*k))) for s in SL for m_ in MV])
        ws=ways(left,iso,ch,np.where(left>0,left,0)/max(left.sum(),1))
        keep=pb.kept(sizes,ch,chances(left,shares,likely,ch,n-stop,ev))
        fs=[pb.kept(sizes,ch,chances(left,.9*x+.1*first,likely,ch,n-stop,ev)) for x in ws]
        i=int(np.argmin(fs))
        if fs[i]<keep-GAIN:
            shares=.9*ws[i]+.1*first; shares=shares/shares.sum(); stats.append((stop,i==0))
    standing=Standing(audit,known,(ch,),(ev,),rates0,target)
    found=decide(standing,cal)
    ans=said|{int(r)+1:"yes" if relevant[r] else "no" for r in rowsdrawn}
    if isinstance(found,Applied): d=overruled(audit,found.decisions,ans)==KEEP
    else: d=np.ones(len(relevant),bool)
    return d
PRI=float(sys.argv[3]) if len(sys.argv)>3 else 20.; GAIN=.02
runs=int(sys.argv[1]); only=sys.argv[2].split(",") if len(sys.argv)>2 else None
for number,cell in enumerate(b.cells([])):
    if only and str(number) not in only: continue
    g=np.random.default_rng(5); res=[]; stats=[]; broken=0
    for _ in range(runs):
        relevant,scores=cell.draw(g); rows=len(relevant)
        top=np.argsort(-scores,kind="stable")[:20]
        shown=np.unique(np.concatenate([top,g.choice(rows,40,replace=False)]))
        said={int(r)+1:"yes" if relevant[r] else "no" for r in shown}
        cal=Calibration.fit(scores[shown],relevant[shown]); seed=g.bytes(32).hex(); row=[]
        with mock.patch.object(audits,"fresh_seed",lambda: seed):
            fresh=audits.begin(1,1,Target(cell.recall,None,.95),Scored(np.arange(1,rows+1),scores),said)
        a=b._now(fresh,cal,said,cell.labels); n=cell.labels
        for looks in ([],[n//10,n//5,n//3,n//2,2*n//3]):
            d=replanned(a,fresh,cal,said,relevant,scores,n,looks,np.random.default_rng(g.integers(1<<62)),stats)
            row.append(d.mean()); broken+=(d&relevant).sum()<cell.recall*relevant.sum()-1e-9
        res.append(row)
    res=np.array(res); df=res[:,1]-res[:,0]
    print(cell.name,n,"as planned / re-planned:",np.round(res.mean(0),3),"diff %.3f se %.3f"%(df.mean(),df.std()/len(df)**.5),"switches",round(len(stats)/runs,2),"to even",round(np.mean([e for _,e in stats] or [0]),2),"broken",broken,flush=True)
